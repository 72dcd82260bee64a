"""Random histories of a correct binding, and of such as have one bug or another.

A history is a list of events (rows of the file) of one scope. The simulated binding retries with
backoff, suppresses duplicates, gives up into the DLQ, redrives, answers replays and signals lag;
publishes end unknown, are tried again, and may be stored twice; handlers fail, hang and stall;
members are killed at every point, relieved or frozen; the broker is killed and forgets; the time
to drain may be too short. All of that is legal.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

MAX_ATTEMPTS = 3
MS = 1_000_000
SECOND = 1000 * MS
Row = dict[str, Any]

# What a binding may do wrong, each with what a history must be full of for it to show (see MOODS).
BUGS: dict[str, tuple[str, ...]] = {
    "forgets what it has handled": ("keys", "replays", "freezes"),
    "handles a key in any order": ("load",), "drops what fails": ("load",),
    "counts what it has not handled": ("load",), "ignores the credit": ("load",),
    "buries what it handled": ("anything",), "passes broken records": ("load",),
    "forgets what a killed member had": ("kills",), "begins behind a gap": ("kills",),
    "goes on after a freeze": ("freezes",), "promises too early": ("load", "faults"),
    "is dead after a fault": ("faults",), "replays too much": ("replays",),
    "replays with holes": ("replays",), "tries under new ids": ("load",),
    "tries for ever": ("anything",), "leaves headers out": ("anything",),
    "changes payloads": ("anything",), "numbers attempts anew": ("anything",),
    "buries nothing": ("anything",), "loses what it got under load": ("faults",),
    "refuses what it stored": ("load",),
}  # fmt: skip
# What a history is full of; acts of the simulation that are four times as frequent as else.
MOODS: dict[str, tuple[str, ...]] = {
    "anything": (), "replays": ("request", "answer", "publish"), "freezes": ("freeze", "thaw"),
    "kills": ("kill",), "faults": ("stall", "break_broker", "late", "publish"),
    "load": ("publish", "begin"), "keys": ("publish", "begin"),
}  # fmt: skip


@dataclass
class Record:
    """A stored record; `mine` where the binding or the load published it as a live one."""

    topic: str
    key: str
    body: str
    message_id: str
    dedupe_key: str | None
    produced: int
    corrupt: bool = False
    place: int = 0

    def marks(self) -> set[Any]:
        """Return what a second record must not have in common with it to take effect as well."""
        return {self.message_id} | ({(self.topic, self.dedupe_key)} if self.dedupe_key else set())


@dataclass
class Call:
    """A delivery that is open."""

    record: Record
    delivery: str
    attempt: int
    replay: str | None = None


@dataclass
class Member:
    """One subscription in a process of its own."""

    name: str
    credit: int
    calls: list[Call] = field(default_factory=list)
    frozen: bool = False
    buffered: list[Call] = field(default_factory=list)


@dataclass
class Group:
    """A consumer group: its members, what is left to do in each lane, what is recorded."""

    name: str
    start: str
    begins: int = 0
    members: list[Member] = field(default_factory=list)
    lanes: dict[tuple[str, str], list[Record]] = field(default_factory=dict)
    seen: set[Any] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    attempts: dict[int, int] = field(default_factory=dict)
    handled: list[Record] = field(default_factory=list)
    replays: list[tuple[str, Member, list[Record]]] = field(default_factory=list)


class Sim:
    """One scope's binding, broker and harness."""

    def __init__(
        self, rng: random.Random, scope: str, bugs: tuple[str, ...] = (), mood: str | None = None
    ) -> None:
        self.rng = rng
        self.mood = mood or rng.choice(tuple(MOODS))
        self.scope = scope
        self.bugs = bugs
        self.rows: list[Row] = []
        self.now = SECOND
        self.log: list[Record] = []
        self.wire: list[Row] = []
        self.graves: list[Record] = []
        self.groups: list[Group] = []
        self.numbers: dict[tuple[str, ...], int] = {}
        self.count = 0
        self.stalled = self.down = False
        self.again: list[Row] = []

    # -- small things ----------------------------------------------------------------------

    def add(self, kind: str, **facts: Any) -> Row:
        """Record one event, a little later than the last."""
        self.now += self.rng.choice((1, 20, 100, 300)) * MS
        row = {"case": self.scope, "seq": len(self.rows), "t_ns": self.now, "kind": kind}
        row |= {name: each for name, each in facts.items() if each not in (None, {})}
        self.rows.append(row)
        return row

    def new(self, prefix: str) -> str:
        """Return a name that is not in use."""
        self.count += 1
        return f"{prefix}{self.count}"

    def chance(self, share: float) -> bool:
        """Throw the dice."""
        return self.rng.random() < share

    def bug(self, name: str, share: float = 0.5) -> bool:
        """Tell whether the binding has this bug, and it shows now."""
        assert name in BUGS
        return name in self.bugs and self.chance(share)

    def fault(self, name: str, **facts: Any) -> None:
        """Note a fault, or its end."""
        self.add("fault", **facts, detail={"fault": name})

    # -- the run ---------------------------------------------------------------------------

    def run(self) -> list[Row]:
        """Return a whole history."""
        rng = self.rng
        self.add("mark", actor="d0", detail={"max_attempts": MAX_ATTEMPTS, "backoff_base_ms": 40})
        for number in range(rng.choice((1, 1, 2))):
            self.group(f"g{number}", "earliest")
        acts = {
            self.publish: 4, self.inject: 1, self.begin: 12, self.finish: 10, self.kill: 0.8,
            self.join_another: 0.4, self.freeze: 0.5, self.thaw: 0.6, self.stall: 0.4,
            self.break_broker: 0.35, self.checkpoint: 2, self.request: 1.2, self.answer: 5,
            self.redrive: 0.3, self.signal: 0.2, self.late: 0.8, self.duplicate: 0.4,
        }  # fmt: skip
        for act in MOODS[self.mood]:
            acts[getattr(self, act)] = acts[getattr(self, act)] * 4
        late = rng.randint(5, 20) if self.chance(0.6 if self.mood == "replays" else 0.03) else 0
        for step in range(rng.randint(5, 45)):
            if step + 1 == late:
                self.group("late", "latest")
            rng.choices(list(acts), list(acts.values()))[0]()
        self.heal()
        self.settle()
        drained = self.drain()
        self.checkpoint()
        if not self.chance(0.04):
            self.add("mark", detail={"phase": "drained", "drained": drained})
        self.audit()
        return self.rows

    def settle(self) -> None:
        """Publish one more record of each lane, so that what is left behind is behind something."""
        for lane in sorted({(each.topic, each.key) for each in self.log}):
            if self.chance(0.7):
                self.publish(lane)
        for _ in range(5):  # as often as it takes
            if self._healed() and self.rows[-1]["kind"] != "ok":
                self.publish(("ampy.dev.bars.v1.X", "k1"))

    def drain(self) -> bool:
        """Go on until nothing is left; or be slow, and end with a backlog or with full hands."""
        how = self.rng.choices(("all", "backlog", "hands"), (8, 1, 1))[0]
        if self._healed():  # then work must go on
            how = "all"
        started = {r.place for g in self.groups for r in self._open(g)} | {
            place for g in self.groups for place in g.attempts
        }
        if how == "backlog":  # what was never begun stays undone
            for group in self.groups:
                for lane, queue in group.lanes.items():
                    first = next((n for n, r in enumerate(queue) if r.place not in started), None)
                    tail = queue[first:] if first is not None else []
                    if not any(r.place in started for r in tail):
                        group.lanes[lane] = [r for r in queue if r.place in started]
        rounds = 0
        while any(any(g.lanes.values()) or any(m.calls for m in g.members) for g in self.groups):
            rounds += 1
            assert rounds < 20_000, "the simulation does not come to an end"
            if how == "hands" and self.chance(0.1):
                return False
            self.rng.choice((self.begin, self.finish, self.finish, self.answer, self.answer))()
        for group in self.groups:
            group.replays.clear()
        if how == "backlog" or self.chance(0.5) or self.bugs:
            self.now += 30 * SECOND
        return how == "all"

    @staticmethod
    def _open(group: Group) -> list[Record]:
        return [call.record for member in group.members for call in member.calls]

    def audit(self) -> None:
        """Read everything from the log, as the raw client does."""
        for each in self.log:
            self.add(
                "audit", topic=each.topic, key=each.key, position=str(each.place),
                body_hash=each.body, message_id=each.message_id, dedupe_key=each.dedupe_key,
                detail={"stream": "S", "produced_ns": each.produced},
            )  # fmt: skip
        for place, each in enumerate(self.graves, 1):
            lacks = 2 if self.bug("leaves headers out") else 0
            body = f"{each.body}-cut" if self.bug("changes payloads", 0.2) else each.body
            self.add(
                "dlq", topic=f"ampy.dev.dlq.v1.{each.topic.split('.')[2]}", position=str(place),
                body_hash=body,
                detail={"stream": "D"} | ({} if self.chance(0.1) else {"missing_headers": lacks}),
            )  # fmt: skip
        for each in self.wire:
            self.add("wire", **each)
        if not self.chance(0.04):
            self.add("mark", detail={"audited": True})

    # -- publishing ------------------------------------------------------------------------

    def publish(self, lane: tuple[str, str] | None = None) -> None:
        """Let a producer publish; it tries again by itself, and its caller may as well."""
        rng = self.rng
        topic = rng.choice(("ampy.dev.orders.v1.requests", "ampy.dev.bars.v1.X"))
        topic, key = lane or (topic, rng.choice(("k1", "k2")))
        dedupe = (
            f"d{rng.randint(1, 3)}" if self.chance(0.7 if self.mood == "keys" else 0.2) else None
        )
        facts = {"topic": topic, "key": key, "body_hash": self.new("b"), "dedupe_key": dedupe}
        if self.again and lane is None and self.chance(0.5):
            facts = self.again.pop()
        topic, key, producer = facts["topic"], facts["key"], rng.choice(("p1", "p2"))
        number = self.numbers[producer, key] = self.numbers.get((producer, key), -1) + 1
        uid = f"{producer}/{key}/{number}"
        self.add("invoke", uid=uid, producer=producer, pseq=number, **facts)
        ids = [self.new("ID-")]
        outcome = rng.choices(("ok", "info", "fail"), (8, 1.5, 1))[0]
        if self.down or (self.bug("is dead after a fault", 1.0) and self._healed()):
            outcome = rng.choice(("info", "fail"))
        kept = 1 if outcome == "ok" else 0
        if outcome == "info" and not self.down:
            kept = rng.choice((0, 1, 2))
        tries = rng.choice((1, 1, 1, 2, 3))
        if kept == 1 and tries > 1 and self.chance(0.2):
            kept = 2  # the first answer was lost, and the broker does not know its like
        if self.bug("tries under new ids"):
            ids += [self.new("ID-") for _ in range(tries)]
        if outcome == "ok" and (
            self.bug("promises too early", 0.3)
            or (self.stalled and self.bug("loses what it got under load"))
        ):
            kept = 0
        if outcome == "fail" and self.bug("refuses what it stored"):
            kept = 1
        for attempt in range(max(tries, kept)):
            self.wire.append(
                {"topic": topic, "body_hash": facts["body_hash"],
                 "message_id": ids[min(attempt, len(ids) - 1)],
                 "detail": {"at_ns": self.now + attempt * 50 * MS}}
            )  # fmt: skip
        for attempt in range(kept):
            self.store(
                Record(facts["topic"], facts["key"], facts["body_hash"],
                       ids[min(attempt, len(ids) - 1)], facts["dedupe_key"],
                       self.now // MS * MS)
            )  # fmt: skip
        if outcome == "info" and self.chance(0.1):
            return  # its process died
        self.add(
            outcome, uid=uid, producer=producer, body_hash=facts["body_hash"], message_id=ids[0]
        )
        if outcome != "ok" and self.chance(0.5):
            self.again.append(facts)

    def _healed(self) -> bool:
        return any(each.get("detail", {}).get("fault") == "healed" for each in self.rows)

    def store(self, record: Record) -> None:
        """Append a record to the log; every group has it before it from now on."""
        record.place = len(self.log) + 1
        self.log.append(record)
        for group in self.groups:
            group.lanes.setdefault((record.topic, record.key), []).append(record)

    def inject(self) -> None:
        """Store a record raw; some are broken."""
        if self.down:
            return
        body = self.new("raw")
        record = Record(
            "ampy.dev.bars.v1.X", self.rng.choice(("k1", "k2")), body, self.new("ID-"), None,
            self.now // MS * MS, self.chance(0.4),
        )  # fmt: skip
        self._inject(record)

    def _inject(self, record: Record) -> None:
        self.store(record)
        self.add(
            "inject", actor="raw", topic=record.topic, key=record.key, body_hash=record.body,
            message_id=record.message_id, dedupe_key=record.dedupe_key,
            position=str(record.place), detail={"corrupt": True} if record.corrupt else {},
        )  # fmt: skip

    def duplicate(self) -> None:
        """Store a record again raw, as it was."""
        sound = [each for each in self.log if not each.corrupt]
        if sound and not self.down:
            one = self.rng.choice(sound)
            self._inject(
                Record(one.topic, one.key, one.body, one.message_id, one.dedupe_key, one.produced)
            )

    def redrive(self) -> None:
        """Give a dead letter another chance: it stands in the log once more."""
        sound = [each for each in self.graves if not each.corrupt]
        if sound and not self.down:
            one = self.rng.choice(sound)
            self.store(
                Record(one.topic, one.key, one.body, one.message_id, one.dedupe_key, one.produced)
            )

    def signal(self) -> None:
        """Let the binding speak for itself: a lag signal."""
        if not self.down:
            self.store(
                Record("ampy.dev.metrics.v1.ampy-bus", "lag", self.new("lag"), self.new("ID-"),
                       None, self.now // MS * MS)
            )  # fmt: skip

    # -- consuming -------------------------------------------------------------------------

    def group(self, name: str, start: str) -> None:
        """Let a group begin, at the start of the log or at its end."""
        group = Group(name, start, len(self.log))
        for each in self.log if start == "earliest" else ():
            group.lanes.setdefault((each.topic, each.key), []).append(each)
        self.groups.append(group)
        self.join(group)

    def join(self, group: Group) -> Member:
        """Let a member begin."""
        member = Member(self.new("s"), self.rng.choice((1, 2, 4)))
        group.members.append(member)
        self.add(
            "mark", group=group.name, subscription=member.name, actor=f"d-{member.name}",
            detail={"start": group.start, "credit": member.credit},
        )  # fmt: skip
        if self.bug("begins behind a gap", 0.3):
            for queue in group.lanes.values():
                del queue[:2]
        return member

    def pick(self) -> Group:
        """Choose a group; one that missed something is more often asked to catch up."""
        return self.groups[-1] if self.chance(0.3) else self.rng.choice(self.groups)

    def begin(self) -> None:
        """Begin with the next record of some lane that nobody works on."""
        group = self.pick()
        taken = {(r.topic, r.key) for r in self._open(group)}
        busy = set().union(*(r.marks() for r in self._open(group)), set())
        able = [
            m for m in group.members
            if not m.frozen and (len(m.calls) < m.credit or self.bug("ignores the credit"))
        ]  # fmt: skip
        lanes = [lane for lane, queue in group.lanes.items() if queue and lane not in taken]
        if not able or not lanes or self.down:
            return
        queue = group.lanes[self.rng.choice(lanes)]
        any_order = self.bug("handles a key in any order")
        place = self.rng.randrange(len(queue)) if any_order else 0
        record = queue[place]
        if record.marks() & busy:
            return
        known = record.marks() & group.seen and not self.bug("forgets what it has handled", 0.8)
        tries = group.attempts.get(record.place, 0)
        broken = record.corrupt and not self.bug("passes broken records")
        if broken or known:
            queue.pop(place)
            group.done.add(record.place)
            if broken and not known and not self.bug("buries nothing"):
                self.graves.append(record)
            return
        if tries >= MAX_ATTEMPTS and not self.bug("tries for ever", 0.8):
            queue.pop(place)
            group.done.add(record.place)
            if not self.bug("buries nothing"):
                self.graves.append(record)
            return
        queue.pop(place)
        group.attempts[record.place] = tries + 1
        self.deliver(group, self.rng.choice(able), record, tries + 1)

    def deliver(
        self, group: Group, member: Member, record: Record, attempt: int, *,
        replay: str | None = None, started: int | None = None,
    ) -> Call:  # fmt: skip
        """Call the handler."""
        call = Call(record, self.new("c"), attempt, replay)
        member.calls.append(call)
        if self.bug("numbers attempts anew"):
            attempt = 1
        detail: Row = {"replay": replay} if replay else {}
        identity = record.message_id
        row = self.add(
            "deliver", group=group.name, subscription=member.name, actor=f"d-{member.name}",
            delivery=call.delivery, topic=record.topic, key=record.key, attempt=attempt,
            message_id=identity.lower() if self.chance(0.1) else identity,
            dedupe_key=record.dedupe_key, position=str(record.place),
            body_hash=f"{record.body}-cut" if self.bug("changes payloads", 0.2) else record.body,
        )  # fmt: skip
        if started is not None:
            detail["started_ns"] = started
        elif self.chance(0.5):
            detail["started_ns"] = row["t_ns"] - self.rng.randint(0, 900) * 1000
        if detail:
            row["detail"] = detail
        return call

    def ended(self, group: Group, member: Member, call: Call, how: str) -> None:
        """Note how a call ended: effect, settle, abandoned, unrecorded."""
        member.calls.remove(call)
        record = call.record
        where = {"subscription": member.name, "delivery": call.delivery}
        kind = "effect" if how in ("effect", "unrecorded") else how
        if kind == "abandoned":
            self.add(kind, **where)
            if self.chance(0.3):  # the handler wakes up too late
                self.add("settle", group=group.name, **where, body_hash=record.body)
        else:
            self.add(kind, group=group.name, **where, body_hash=record.body)
        if how == "effect":
            self.add("settled", group=group.name, **where, detail={"recorded": True})
            group.seen |= record.marks()
            group.done.add(record.place)
            if not call.replay:
                group.handled.append(record)
            if self.bug("buries what it handled", 0.3):
                self.graves.append(record)
        elif how == "settle":
            self.add("settled", group=group.name, **where, detail={"recorded": False})

    def requeue(self, group: Group, record: Record) -> None:
        """Let a record be tried again; where order is free, later ones may overtake it."""
        queue = group.lanes.setdefault((record.topic, record.key), [])
        free = ".orders." not in record.topic and self.chance(0.4)
        queue.insert(self.rng.randint(0, len(queue)) if free else 0, record)

    def finish(self) -> None:
        """End one of the open calls."""
        group = self.pick()
        working = [m for m in group.members if m.calls and not m.frozen]
        if not working or self.stalled:
            return
        member = self.rng.choice(working)
        call = self.rng.choice(member.calls)
        new = not call.record.marks() & group.seen
        how = self.rng.choices(("effect", "settle", "abandoned"), (7, 2, 1))[0]
        self.ended(group, member, call, how)
        if how != "effect":
            if self.bug("drops what fails"):
                group.done.add(call.record.place)
            else:
                self.requeue(group, call.record)
            return
        # Another member looked at the same moment, before it could hear of this one's end.
        others = [m for m in group.members if m is not member and not m.frozen and not m.calls]
        tries = group.attempts.get(call.record.place, 0)
        if new and others and tries < MAX_ATTEMPTS and self.chance(0.15):
            group.attempts[call.record.place] = tries + 1
            heard = self.rows[-1]["t_ns"]
            began = heard + self.rng.randint(-50, 250) * MS
            twin = self.deliver(group, others[0], call.record, tries + 1, started=began)
            self.ended(group, others[0], twin, "effect")

    # -- members come and go ---------------------------------------------------------------

    def kill(self) -> None:
        """Kill a member at some point of its work, and let another begin."""
        group = self.pick()
        alive = [m for m in group.members if not m.frozen]
        if not alive:
            return
        member = self.rng.choice(alive)
        if member.calls and self.chance(0.4):  # between the effect and its record
            call = self.rng.choice(member.calls)
            self.ended(group, member, call, "unrecorded")
            self.requeue(group, call.record)
        self.fault("killed", actor=f"d-{member.name}")
        group.members.remove(member)
        for call in reversed(member.calls):
            if not self.bug("forgets what a killed member had"):
                queue = group.lanes.setdefault((call.record.topic, call.record.key), [])
                queue.insert(0, call.record)
        group.replays = [each for each in group.replays if each[1] is not member]
        if not group.members or self.chance(0.5):
            self.join(group)

    def join_another(self) -> None:
        """Let one more member begin, or one that has nothing to do leave."""
        group = self.pick()
        idle = [m for m in group.members if not m.calls and not m.frozen]
        if len(group.members) > 1 and idle:
            member = self.rng.choice(idle)
            group.members.remove(member)
            group.replays = [each for each in group.replays if each[1] is not member]
        elif len(group.members) < 3:
            self.join(group)

    def freeze(self) -> None:
        """Freeze a member; what it has in its hands, or in its buffer, is given to others."""
        group = self.pick()
        able = [m for m in group.members if not m.frozen]
        if not able or any(m.frozen for m in group.members):
            return
        member = self.rng.choice(able)
        self.fault("paused", subscription=member.name)
        member.frozen = True
        for call in reversed(member.calls):
            group.lanes[call.record.topic, call.record.key].insert(0, call.record)
        member.buffered, member.calls = list(member.calls), []
        for queue in group.lanes.values():
            for record in queue:
                tries = group.attempts.get(record.place, 0)
                known = record.corrupt or record.marks() & group.seen
                if tries == 0 and not known and self.chance(0.3):
                    group.attempts[record.place] = 1
                    member.buffered.append(Call(record, "", 1))
        group.replays = [each for each in group.replays if each[1] is not member]
        if len(able) == 1:
            self.join(group)

    def thaw(self) -> None:
        """Let a frozen member go on: first with what it had."""
        for group in self.groups:
            for member in group.members:
                if member.frozen:
                    self._thaw(group, member)

    def _thaw(self, group: Group, member: Member) -> None:
        self.fault("resumed", subscription=member.name)
        began = self.now
        member.frozen = False
        handled = {each.place for each in group.handled}
        mine, member.buffered = member.buffered, []
        zombie = self.bug("goes on after a freeze", 0.8)
        if zombie:
            self.now += 3 * SECOND
        for call in mine:
            record = call.record
            if call.delivery:  # in the handler since before
                member.calls.append(call)
                if self.chance(0.7):
                    self.ended(group, member, call, "effect")
                else:
                    self.ended(group, member, call, "settle")
            elif zombie or (record.place in handled and self.now < began + 1500 * MS):
                again = self.deliver(group, member, record, call.attempt)
                self.ended(group, member, again, "effect")

    # -- faults of the broker and of handlers ----------------------------------------------

    def stall(self) -> None:
        """Let every handler hold on to what it has, for a while."""
        if not self.stalled:
            self.fault("stall")
            self.stalled = True

    def break_broker(self) -> None:
        """Let the broker be out of reach, or killed: then it may forget."""
        name = self.rng.choice(("cut", "kill-broker", "kill and restart"))
        if self.down:
            return
        self.fault(name)
        self.down = True
        if name == "cut":
            return
        for group in self.groups:
            for place in list(group.attempts):
                if self.chance(0.2):
                    group.attempts[place] = max(0, group.attempts[place] - 1)
            if self.chance(0.3):
                group.done -= set(range(max(group.done, default=0), len(self.log) + 1))
        tail = self.log[-1:]
        raw = [r["body_hash"] for r in self.rows if r["kind"] == "inject"]
        used = [r.body for g in self.groups for r in self._open(g)]
        used += [each.body for each in (*self.graves, *self.log[:-1])]
        if tail and tail[0].body in raw and tail[0].body not in used and not tail[0].corrupt:
            self.lose()

    def lose(self) -> None:
        """Let the broker lose the end of its log, a raw record among it."""
        used = {r.place for g in self.groups for r in self._open(g)}
        count = 2 if len(self.log) > 1 and self.log[-2].place not in used else 1
        gone = self.log[-count:]
        del self.log[-count:]
        for group in self.groups:
            for queue in group.lanes.values():
                queue[:] = [each for each in queue if each not in gone]
            for member in group.members:
                member.buffered = [each for each in member.buffered if each.record not in gone]
            group.replays = [(q, m, [r for r in rs if r not in gone]) for q, m, rs in group.replays]
            group.done -= {each.place for each in gone}
            for each in gone:
                group.attempts.pop(each.place, None)

    def heal(self) -> None:
        """End every fault."""
        self.thaw()
        if self.stalled or self.down:
            self.fault("healed")
        self.stalled = self.down = False

    def late(self) -> None:
        """End the faults that there are."""
        if self.stalled or self.down:
            self.heal()

    # -- checkpoints and replays -----------------------------------------------------------

    def checkpoint(self) -> None:
        """Note the broker's count of a group: all up to there is done with."""
        group = self.pick()
        floor = 0
        while floor < len(self.log) and (
            floor + 1 in group.done or (floor + 1 <= group.begins and group.start == "latest")
        ):
            floor += 1
        if self.bug("counts what it has not handled"):
            floor = self.rng.randint(0, len(self.log))
        self.add(
            "checkpoint", actor="raw", group=group.name, position=str(floor),
            detail={"stream": "S"},
        )  # fmt: skip

    def request(self) -> None:
        """Ask for a replay, with bounds that lie on records, or between them."""
        group = self.pick()
        able = [m for m in group.members if not m.frozen]
        if not self.log or not able or self.down:
            return
        domain = self.rng.choice(("bars", "orders"))
        times = [each.produced for each in self.log] + [self.now + SECOND]
        start, until = sorted((self.rng.choice(times), self.rng.choice(times)))
        name, narrow = self.new("r"), self.chance(0.2)
        detail = {"request": name, "domain": domain, "narrow": narrow}
        if not narrow or self.chance(0.5):
            detail |= {"from_ns": start, "until_ns": until}
        self.add("replay", actor="raw", topic="ampy.dev.control.v1.replay_requests", detail=detail)
        wide = self.bug("replays too much", 0.7)
        chosen = [
            r for r in self.log
            if wide or (r.topic.split(".")[2] == domain
                        and ("from_ns" not in detail or start <= r.produced < until)
                        and not (narrow and r.key == "k2"))
        ]  # fmt: skip
        group.replays.append((name, self.rng.choice(able), chosen))

    def answer(self) -> None:
        """Go on with a replay, in the order of the log."""
        group = self.pick()
        if not group.replays or self.down:
            return
        number = self.rng.randrange(len(group.replays))
        name, member, left = group.replays[number]
        if not left:
            group.replays.pop(number)
            return
        record = left.pop(0)
        busy = set().union(*(r.marks() for r in self._open(group)), set())
        known = record.marks() & group.seen and not self.bug("forgets what it has handled", 0.8)
        if record.corrupt or known or record.marks() & busy or self.bug("replays with holes"):
            return
        if len(member.calls) >= member.credit:
            left.insert(0, record)
            return
        for attempt in range(1, self.rng.choice((1, 1, 2)) + 1):
            call = self.deliver(group, member, record, attempt, replay=name)
            how = self.rng.choice(("effect", "effect", "settle"))
            done = record.place in group.done
            self.ended(group, member, call, how)
            if not done and how == "effect":  # the live place is not touched
                group.done.discard(record.place)
            if how == "effect":
                return


def legal(seed: int) -> list[Row]:
    """Return one legal history."""
    return Sim(random.Random(seed), f"s{seed}").run()


def wellformed(rows: list[Row]) -> bool:
    """Tell whether the harness could have written this: what it sees itself has an order."""
    asked: set[str] = set()
    said: set[str] = set()
    calls: dict[Any, int] = {}
    places = [each.get("position", n) for n, each in enumerate(rows) if each["kind"] == "audit"]
    if len(places) != len(set(places)):
        return False
    for each in rows:
        kind, mark = each["kind"], (each.get("subscription"), each.get("delivery"))
        if kind == "invoke":
            if each["uid"] in asked:
                return False
            asked.add(each["uid"])
        elif kind in ("ok", "fail", "info"):
            if each["uid"] not in asked or each["uid"] in said:
                return False
            said.add(each["uid"])
        elif kind == "deliver":
            if mark in calls:
                return False
            calls[mark] = 0
        elif kind in ("effect", "settle", "abandoned", "settled"):
            stage = {"abandoned": 1, "effect": 2, "settle": 2, "settled": 3}[kind]
            if mark not in calls or calls[mark] >= stage or (stage == 3 and calls[mark] < 2):
                return False
            calls[mark] = stage
    return True


def spoiled(seed: int) -> list[Row]:
    """Return the history of a binding with bugs, and with a few events dropped, doubled or altered."""
    rng = random.Random(seed)
    bugs = tuple(rng.sample(list(BUGS), rng.choice((0, 1, 1, 2, 3))))
    mood = rng.choice(BUGS[bugs[0]]) if bugs else None
    rows = Sim(rng, f"s{seed}", bugs, mood).run()
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        other = changed(rng, rows)
        if wellformed(other):
            rows = other
    times = sorted(each["t_ns"] for each in rows)
    return [
        {**each, "seq": seq, "t_ns": at}
        for seq, (each, at) in enumerate(zip(rows, times, strict=True))
    ]


def changed(rng: random.Random, before: list[Row]) -> list[Row]:
    rows = [dict(each) for each in before]
    place = rng.randrange(len(rows))
    change = rng.choice(("drop", "double", "move", "alter", "lack", "answer"))
    if change == "drop":
        rows.pop(place)
    elif change == "double":
        again = dict(rows[place])
        if again["kind"] == "deliver":
            again["delivery"] += "x"
        rows.insert(rng.randint(place, len(rows)), again)
    elif change == "move":
        rows.insert(rng.randrange(len(rows)), rows.pop(place))
    elif change == "answer" and rows[place]["kind"] in ("ok", "fail", "info"):
        rows[place]["kind"] = rng.choice(("ok", "fail", "info"))
    else:
        name = rng.choice(
            ("body_hash", "attempt", "message_id", "position", "dedupe_key", "topic", "key",
             "subscription", "group", "pseq")
        )  # fmt: skip
        other = rng.choice(rows)
        if name in rows[place] and name in other:
            rows[place][name] = other[name]
            if change == "lack" and name in ("message_id", "position", "dedupe_key", "key"):
                del rows[place][name]
    return rows
