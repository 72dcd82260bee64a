"""Random histories of a correct binding, and ways to spoil them.

A history is a list of events (rows of the file) of one scope. The simulated binding retries,
crashes before its verdict or between effect and bookkeeping, suppresses duplicates, gives up
into the DLQ; its publishes may end unknown, its members are killed, relieved or frozen, broken
records go to the DLQ unseen. All of that is legal.
"""

from __future__ import annotations

import random
from typing import Any

MAX_ATTEMPTS = 3
# Two events are so far apart that some members race and others do not (see `effects`).
STEP_NS = 100_000_000
Row = dict[str, Any]


class Sim:
    """One scope's correct binding."""

    def __init__(self, rng: random.Random, scope: str, *, careless: bool = False) -> None:
        # A careless binding does not look whether it has seen a record's like, buries some that
        # took effect, and handles a key in any order.
        self.careless = careless
        self.rng = rng
        self.scope = scope
        self.rows: list[Row] = []
        self.subscription = 0
        self.deliveries = 0
        self.log: list[Row] = []
        self.graves: list[Row] = []

    def add(self, kind: str, **facts: Any) -> None:
        """Record one event."""
        number = len(self.rows)
        row = {"case": self.scope, "seq": number, "t_ns": number * STEP_NS, "kind": kind}
        self.rows.append({**row, **facts})

    def run(self) -> list[Row]:
        """Return a whole legal history."""
        rng = self.rng
        self.add("mark", detail={"max_attempts": MAX_ATTEMPTS})
        groups = ["g1", "g2"][: rng.randint(1, 2)]
        for each in groups:
            self.join(each)
        self.publishes(rng.randint(0, 7))
        if rng.random() < 0.3:
            self.broken()
        for each in groups:
            self.consume(each)
        for place, each in enumerate(self.log):
            self.add(
                "audit", topic=each["topic"], position=str(place + 1), body_hash=each["body_hash"],
                message_id=each["message_id"], detail={"stream": "S"},
            )  # fmt: skip
        for place, each in enumerate(self.graves):
            self.add(
                "dlq", topic="ampy.dev.dlq.v1.x", position=str(place + 1),
                body_hash=each["body_hash"], detail={"stream": "D", "missing_headers": 0},
            )  # fmt: skip
        for each in self.log:
            for attempt in range(rng.randint(1, 2)):
                self.add(
                    "wire", topic=each["topic"], body_hash=each["body_hash"],
                    message_id=each["message_id"], detail={"at_ns": attempt * STEP_NS},
                )  # fmt: skip
        self.add("mark", detail={"drained": True})
        self.add("mark", detail={"audited": True})
        return self.rows

    def join(self, group: str) -> None:
        """Let a new member of a group begin."""
        name = f"s{self.subscription}-{group}"
        self.add("mark", group=group, subscription=name, detail={"start": "earliest", "credit": 1})

    def relieve(self, group: str, how: str) -> None:
        """Let another member take over from one that was killed, or that leaves."""
        name = f"s{self.subscription}-{group}"
        if how == "killed":
            self.add("fault", actor=name, detail={"fault": "killed"})
        self.subscription += 1
        self.join(group)

    def broken(self) -> None:
        """Store a record raw that no handler may be given."""
        record = {
            "topic": "ampy.dev.bars.v1.X", "key": "k1", "dedupe_key": None, "uid": "raw",
            "body_hash": f"{self.scope}-raw", "message_id": f"id-{self.scope}-raw",
        }  # fmt: skip
        self.log.append({**record, "corrupt": True})
        where = {name: record[name] for name in ("topic", "key", "body_hash", "message_id")}
        self.add("inject", **where, position=str(len(self.log)), detail={"corrupt": True})

    def publishes(self, count: int) -> None:
        """Publish through one or two producers; the log has the order of the calls."""
        rng = self.rng
        numbers: dict[tuple[str, str], int] = {}
        for _ in range(count):
            producer, key = rng.choice(["p1", "p2"]), rng.choice(["k1", "k2"])
            number = numbers[producer, key] = numbers.get((producer, key), -1) + 1
            uid = f"{producer}/{key}/{number}"
            topic = "ampy.dev.orders.v1.requests" if rng.random() < 0.3 else "ampy.dev.bars.v1.X"
            dedupe = rng.choice([None, None, f"{self.scope}-d{rng.randint(1, 2)}"])
            record = {
                "topic": topic, "key": key, "producer": producer, "pseq": number, "uid": uid,
                "dedupe_key": dedupe, "body_hash": f"{self.scope}-{uid}",
            }  # fmt: skip
            self.add("invoke", **record)
            outcome = rng.choices(["ok", "info", "fail"], [8, 1, 1])[0]
            self.add(outcome, uid=uid, producer=producer, message_id=f"id-{self.scope}-{uid}")
            if outcome == "ok" or (outcome == "info" and rng.random() < 0.5):
                self.log.append({**record, "message_id": f"id-{self.scope}-{uid}"})

    def consume(self, group: str) -> None:
        """Handle the log in its order within each key; keys take turns at random."""
        rng = self.rng
        queues = {key: [r for r in self.log if r["key"] == key] for key in ("k1", "k2")}
        seen: set[Any] = set()
        attempts: dict[str, int] = {}
        through: set[str] = set()
        while any(queues.values()):
            left = {each["uid"] for queue in queues.values() for each in queue}
            through = {each["uid"] for each in self.log} - left
            if rng.random() < 0.3:
                self.checkpoint(group, through)
            if rng.random() < 0.1:
                self.relieve(group, "left")
            key = rng.choice([each for each, queue in queues.items() if queue])
            place = rng.randrange(len(queues[key])) if self.careless else 0
            record = queues[key][place]
            if record.get("corrupt"):
                self.graves.append(record)
                queues[key].pop(place)
                continue
            marks = {record["message_id"], (record["topic"], record["dedupe_key"])}
            if record["dedupe_key"] is None:
                marks = {record["message_id"]}
            if marks & seen and not self.careless:
                queues[key].pop(place)
                continue
            if attempts.get(record["uid"], 0) >= MAX_ATTEMPTS:
                self.graves.append(record)
                queues[key].pop(place)
                continue
            attempt = attempts[record["uid"]] = attempts.get(record["uid"], 0) + 1
            ends = ["ack", "fail", "crash before", "crash after", "freeze"]
            end = rng.choices(ends, [7, 2, 1, 1, 0 if attempt == MAX_ATTEMPTS else 1])[0]
            self.deliver(group, record, attempt, end)
            if end == "freeze":
                self.frozen(group, record, attempt + 1)
                attempts[record["uid"]] = attempt + 1
            if end in ("ack", "freeze"):
                seen |= marks
                if self.careless and rng.random() < 0.2:
                    self.graves.append(record)
                queues[key].pop(place)
            elif end.startswith("crash"):
                self.relieve(group, "killed")
        self.checkpoint(group, {each["uid"] for each in self.log})

    def checkpoint(self, group: str, through: set[str]) -> None:
        """Note the broker's count: all up to there is acknowledged."""
        floor = next((n for n, r in enumerate(self.log) if r["uid"] not in through), len(self.log))
        self.add("checkpoint", group=group, position=str(floor), detail={"stream": "S"})

    def frozen(self, group: str, record: Row, attempt: int) -> None:
        """Let the member be frozen over its delivery while another handles the record."""
        name = f"s{self.subscription}-{group}"
        where = {"group": group, "subscription": name, "delivery": f"d{self.deliveries}"}
        self.add("fault", subscription=name, detail={"fault": "paused"})
        self.relieve(group, "frozen")
        self.deliver(group, record, attempt, "ack")
        self.add("fault", subscription=name, detail={"fault": "resumed"})
        self.add("effect", **where, body_hash=record["body_hash"])

    def deliver(self, group: str, record: Row, attempt: int, end: str) -> None:
        """Call the handler once."""
        self.deliveries += 1
        where = {"group": group, "subscription": f"s{self.subscription}-{group}"}
        where["delivery"] = f"d{self.deliveries}"
        self.add(
            "deliver", **where, actor=where["subscription"], topic=record["topic"], key=record["key"], attempt=attempt,
            message_id=record["message_id"], dedupe_key=record["dedupe_key"],
            body_hash=record["body_hash"], position=str(self.log.index(record) + 1),
        )  # fmt: skip
        if end in ("crash before", "freeze"):
            return
        ok = end != "fail"
        self.add("effect" if ok else "settle", **where, body_hash=record["body_hash"])
        if end != "crash after":
            self.add("settled", **where, detail={"recorded": ok})


def legal(seed: int) -> list[Row]:
    """Return one legal history."""
    return Sim(random.Random(seed), f"s{seed}").run()


def spoiled(seed: int) -> list[Row]:
    """Return a legal history with a few events dropped, doubled, moved or altered."""
    rng = random.Random(seed)
    careless = rng.random() < 0.3
    rows = [dict(each) for each in Sim(rng, f"s{seed}", careless=careless).run()]
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(rows))
        change = rng.choice(["drop", "double", "move", "alter", "answer"])
        if change == "drop" and len(rows) > 1:
            rows.pop(place)
        elif change == "double":
            rows.insert(rng.randint(place, len(rows)), dict(rows[place]))
        elif change == "move":
            rows.insert(rng.randrange(len(rows)), rows.pop(place))
        elif change == "answer" and rows[place]["kind"] in ("ok", "fail", "info"):
            rows[place]["kind"] = rng.choice(["ok", "fail", "info"])
        elif change == "alter":
            name = rng.choice(["body_hash", "attempt", "message_id", "position"])
            other = rng.choice(rows)
            if name in rows[place] and name in other:
                rows[place][name] = other[name]
    for seq, each in enumerate(rows):
        each["seq"] = seq
    return rows
