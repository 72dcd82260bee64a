"""More random histories: planted ones with a few events changed, pauses of producers, and soups."""

from __future__ import annotations

import itertools
import random
from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]
SECOND = 1_000_000_000


def planted(seed: int, pairs: list[tuple[str, str, list[Row], list[Row]]], legal: Any) -> list[Row]:
    """Return a planted history, sound or broken, with up to three events changed."""
    rng = random.Random(seed)
    # The property's turn comes with the seed, so that all have their share.
    name, _, *both = pairs[seed % len(pairs)]
    rows = timed(rng.choice(both))
    if name.startswith("producer_"):
        return _scoped(rows, f"p{seed}")
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        changed = legal.changed(rng, rows)
        if legal.wellformed(changed):
            rows = changed
    if rng.random() < 0.2:
        pace = rng.choice((0.001, 0.1, 3.0))
        rows = [{**each, "t_ns": int(each["t_ns"] * pace)} for each in rows]
    return _scoped(timed(rows), f"p{seed}")


def timed(rows: list[Row]) -> list[Row]:
    """Return the events with times that never go back; where one names none, with the last one."""
    times = itertools.accumulate((each.get("t_ns", 0) for each in rows), max)
    return [
        {**each, "t_ns": at + number}
        for number, (each, at) in enumerate(zip(rows, times, strict=True))
    ]


def _scoped(rows: list[Row], scope: str) -> list[Row]:
    return [{**each, "case": scope, "seq": number} for number, each in enumerate(rows)]


def pauses(seed: int, *, lawful: bool = False) -> list[Row]:
    """Return refused publishes of about thirty producers with the pauses between their attempts."""
    rng = random.Random(seed)
    factor = 2.0 if lawful else rng.choice((0.8, 1.0, 1.2, 1.25, 1.5, 2.0))
    jitter = rng.choice((0.25, 0.5, "full") if lawful else (0.0, 0.01, 0.03, 0.05, 0.25, "full"))
    base = rng.choice((0.2, 0.4))
    tries = rng.randint(4, 5) if lawful else rng.randint(1, 5)
    rows: list[Row] = [
        {"kind": "mark", "detail": {"backoff_base_ms": int(base * 1000), "max_attempts": 3}}
        for _ in range(rng.choice((1, 1, 2)))
    ]
    if not lawful and rng.random() < 0.1:
        rows[0]["detail"]["backoff_base_ms"] = 40
    for number in range(32 if lawful else rng.randint(27, 33)):
        uid, body = f"p/{number}", f"b{number}"
        facts = {"producer": "p", "topic": "ampy.dev.bars.v1.X", "key": "k", "body_hash": body}
        rows.append({"kind": "invoke", "uid": uid, "pseq": number, **facts})
        outcome = "ok" if rng.random() < 0.03 else rng.choice(("fail", "info"))
        rows.append({"kind": outcome, "uid": uid, "producer": "p", "body_hash": body})
        at = rng.random()
        for attempt in range(tries):
            rows.append(
                {"kind": "wire", "topic": facts["topic"], "body_hash": body,
                 "message_id": f"m{number}", "detail": {"at_ns": int(at * SECOND)}}
            )  # fmt: skip
            pause = base * factor**attempt
            at += pause * (
                rng.random() if jitter == "full" else 1 + jitter * (2 * rng.random() - 1)
            )
    return _scoped(timed(rows), f"w{seed}")


# -- soups --------------------------------------------------------------------------------

TOPICS = ("ampy.dev.orders.v1.requests", "ampy.dev.bars.v1.X", "ampy.dev.dlq.v1.orders")
GROUPS, MEMBERS = ("g", "h"), ("s", "t", "u")
BODIES, POSITIONS = ("b0", "b1", "b2"), ("1", "2", "3", "0:4")
BELONGS = {"s": "g", "t": "g", "u": "h"}
few = st.integers(0, 2)
maybe = st.none()


def _event(kind: str, **facts: st.SearchStrategy[Any]) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({"kind": st.just(kind), **facts})


def soups() -> st.SearchStrategy[list[Row]]:
    """Return small histories of few names, in which everything meets everything, or is absent."""
    topic, body, key = st.sampled_from(TOPICS), st.sampled_from(BODIES), st.sampled_from("kl")
    member, position = st.sampled_from(MEMBERS), st.sampled_from(POSITIONS)
    identity = st.sampled_from(("m0", "M0", "m1")) | maybe
    dedupe = st.sampled_from(("d0", "d1")) | maybe
    place = {"topic": topic, "key": key | maybe, "body_hash": body}
    about = {"message_id": identity, "dedupe_key": dedupe}
    produced = st.integers(0, 4).map(lambda n: n * SECOND)
    fault = st.sampled_from(("healed", "stall", "killed", "paused", "resumed", "kill-broker"))
    deliver = _event(
        "deliver", **place, **about, subscription=member, attempt=st.integers(0, 3),
        position=position | maybe,
        detail=st.fixed_dictionaries({}, optional={"replay": st.just("r")}),
    )  # fmt: skip
    event = st.one_of(
        _event("publish", topic=topic, key=key, body_hash=body, dedupe_key=dedupe,
               producer=st.sampled_from("pq"), outcome=st.sampled_from(("ok", "ok", "info", "fail"))),
        deliver, deliver, deliver,
        _event("end", number=st.integers(0, 5), how=st.sampled_from(
            ("effect", "effect", "effect", "unrecorded", "settle", "abandoned"))),
        _event("end", number=st.integers(0, 2), how=st.just("effect")),
        _event("audit", **place, **about, position=position,
               detail=st.fixed_dictionaries({"stream": st.just("S"), "produced_ns": produced})),
        _event("audit", topic=st.just(TOPICS[0]), key=st.just("k"), body_hash=body,
               message_id=st.just("m0"), dedupe_key=maybe, position=position,
               detail=st.fixed_dictionaries({"stream": st.just("S"), "produced_ns": produced})),
        _event("dlq", topic=st.just(TOPICS[2]), body_hash=body, position=position,
               detail=st.fixed_dictionaries(
                   {"stream": st.just("D")}, optional={"missing_headers": st.integers(0, 1)})),
        _event("inject", **place, **about, position=position | maybe,
               detail=st.fixed_dictionaries({}, optional={"corrupt": st.just(True)})),
        _event("checkpoint", group=st.sampled_from(GROUPS), position=st.sampled_from("0123"),
               detail=st.just({"stream": "S"})),
        _event("fault", subscription=member, detail=st.fixed_dictionaries({"fault": fault})),
        _event("wire", topic=topic, body_hash=body, message_id=identity,
               detail=st.fixed_dictionaries({"at_ns": st.integers(0, 3)})),
        _event("replay", topic=st.just("ampy.dev.control.v1.replay_requests"),
               detail=st.fixed_dictionaries(
                   {"request": st.just("r"), "domain": st.sampled_from(("orders", "bars"))},
                   optional={"from_ns": produced, "until_ns": produced, "narrow": st.booleans()})),
    )  # fmt: skip
    return st.tuples(
        st.lists(event, min_size=3, max_size=25),
        st.lists(st.sampled_from((1, 300, 3000, 12_000)), min_size=25, max_size=25),
        st.sampled_from((True, True, False, None)), st.sampled_from((True, True, True, False)),
        st.sampled_from(("earliest", "earliest", "latest")), few,
    ).map(lambda drawn: _soup(*drawn))  # fmt: skip


def _soup(
    events: list[Row], steps: list[int], drained: bool | None, audited: bool, start: str,
    max_attempts: int,
) -> list[Row]:  # fmt: skip
    """Give events what a harness gives them by itself: names, actors, an order in each call."""
    rows: list[Row] = [{"kind": "mark", "detail": {"max_attempts": max_attempts + 1}}]
    rows += [
        {"kind": "mark", "group": BELONGS[each], "subscription": each,
         "detail": {"start": start, "credit": 2}}
        for each in MEMBERS
    ]  # fmt: skip
    calls: list[Row] = []
    numbers: dict[Any, int] = {}
    taken: set[str] = set()
    for each in events:
        kind = each["kind"]
        facts = {name: fact for name, fact in each.items() if fact is not None}
        if kind == "publish":
            outcome = facts.pop("outcome")
            lane = facts["producer"], facts["key"]
            number = numbers[lane] = numbers.get(lane, -1) + 1
            call = {**facts, "uid": f"{lane[0]}/{lane[1]}/{number}", "pseq": number}
            rows += [{**call, "kind": "invoke"}, {"kind": outcome, "uid": call["uid"]}]
        elif kind == "deliver":
            member = facts["subscription"]
            facts |= {"group": BELONGS[member], "actor": member, "delivery": f"c{len(rows)}"}
            calls.append(facts)
            rows.append(facts)
        elif kind == "end":
            if calls:
                call = calls.pop(each["number"] % len(calls))
                where = {name: call[name] for name in ("subscription", "delivery")}
                how = each["how"]
                body = {} if how == "abandoned" else {"body_hash": call["body_hash"]}
                rows.append({"kind": "effect" if how == "unrecorded" else how, **where, **body})
                if how == "effect":
                    rows.append({"kind": "settled", **where, "detail": {"recorded": True}})
        elif kind == "fault" and facts["detail"]["fault"] == "killed":
            rows.append({"kind": kind, "actor": facts["subscription"], "detail": facts["detail"]})
        elif kind != "audit" or facts["position"] not in taken:
            taken |= {facts["position"]} if kind == "audit" else set()
            rows.append(facts)
    if drained is not None:
        rows.append({"kind": "mark", "detail": {"drained": drained}})
    if audited:
        rows.append({"kind": "mark", "detail": {"audited": True}})
    now = 0
    for number, each in enumerate(rows):
        now += steps[number % len(steps)] * 1_000_000
        each["t_ns"] = now
    return rows
