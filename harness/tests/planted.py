"""Planted violations: for every temporal property a small history that breaks it, and a sound twin.

A history is a list of events of one scope; `sound` is what a correct binding may do, `broken` the
same with the one difference that the property is about.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
TOPIC = "ampy.dev.orders.v1.requests"
SECOND = 1_000_000_000


def pub(n: int, outcome: str = "ok", producer: str = "p", **facts: Any) -> list[Row]:
    """Publish record n of key k; its body is b<n>, its id m<n>, its dedupe key d<n>."""
    facts = {"topic": TOPIC, "key": "k", "producer": producer, **facts}
    uid = f"{producer}/{n}"
    call = {"uid": uid, "pseq": n, "body_hash": f"b{n}", "dedupe_key": f"d{n}", **facts}
    return [
        {"kind": "invoke", **call},
        {"kind": outcome, "uid": uid, "producer": producer, "body_hash": call["body_hash"]},
    ]


def inject(n: int, *, corrupt: bool = False, position: int | None = None) -> list[Row]:
    """Store record n raw."""
    detail = {"corrupt": True} if corrupt else {}
    place = None if position is None else str(position)
    return [{"kind": "inject", "topic": TOPIC, "key": "k", "body_hash": f"b{n}", "position": place,
             "message_id": f"m{n}", "detail": detail}]  # fmt: skip


def member(sub: str = "s", credit: int = 32) -> list[Row]:
    """Join the group."""
    detail = {"start": "earliest", "credit": credit}
    return [{"kind": "mark", "group": "g", "subscription": sub, "detail": detail}]


def given(n: int, sub: str = "s", attempt: int = 1, **facts: Any) -> list[Row]:
    """Deliver record n; `at` is the time in seconds, `replay` the request that it answers."""
    detail = {name: facts.pop(name) for name in ("replay",) if name in facts}
    row = {"kind": "deliver", "group": "g", "subscription": sub, "delivery": f"{sub}.{n}.{attempt}",
           "topic": TOPIC, "key": "k", "attempt": attempt, "body_hash": f"b{n}",
           "message_id": f"m{n}", "dedupe_key": f"d{n}", "position": str(n + 1), "actor": sub,
           "detail": detail, **facts}  # fmt: skip
    return [row]


def letter(n: int, **facts: Any) -> list[Row]:
    """Deliver the dead letter of record n."""
    return given(n, topic="ampy.dev.dlq.v1.orders", **facts)


def end(n: int, how: str = "effect", sub: str = "s", attempt: int = 1, **facts: Any) -> list[Row]:
    """End a delivery: effect and its confirmation, or a failure."""
    where = {"group": "g", "subscription": sub, "delivery": f"{sub}.{n}.{attempt}", **facts}
    rows = [{"kind": how, "body_hash": f"b{n}", **where}]
    if how == "effect":
        rows.append({"kind": "settled", **where, "detail": {"recorded": True}})
    return rows


def handled(n: int, sub: str = "s", **facts: Any) -> list[Row]:
    """Deliver and succeed."""
    return [*given(n, sub, **facts), *end(n, sub=sub)]


def log(*numbers: int, produced_ns: int | None = None, **facts: Any) -> list[Row]:
    """The raw audit: record n stands at position n + 1, and was produced in second n."""
    return [
        {"kind": "audit", "topic": TOPIC, "key": "k", "body_hash": f"b{n}", "message_id": f"m{n}",
         "dedupe_key": f"d{n}", "position": str(n + 1),
         "detail": {"stream": "S", "produced_ns": n * SECOND if produced_ns is None else produced_ns},
         **facts}
        for n in numbers
    ]  # fmt: skip


def copy(n: int, position: int, **facts: Any) -> list[Row]:
    """One more copy of record n further behind in the log."""
    return [{**each, "position": str(position)} for each in log(n, **facts)]


def graves(*numbers: int, body: str | None = None, missing: int | None = 0) -> list[Row]:
    """Dead letters of these records."""
    return [
        {"kind": "dlq", "topic": "ampy.dev.dlq.v1.orders", "body_hash": body or f"b{n}",
         "position": str(place + 1), "detail": {"stream": "D", "missing_headers": missing}}
        for place, n in enumerate(numbers)
    ]  # fmt: skip


def fault(name: str, **facts: Any) -> list[Row]:
    """Let a fault begin or end."""
    return [{"kind": "fault", **facts, "detail": {"fault": name}}]


def floor(position: int) -> list[Row]:
    """The broker's count of the group."""
    return [{"kind": "checkpoint", "group": "g", "position": str(position),
             "detail": {"stream": "S"}}]  # fmt: skip


def wire(n: int, message_id: str | None = None, at: float = 0.0) -> list[Row]:
    """One attempt of a producer, seen on the wire."""
    return [{"kind": "wire", "topic": TOPIC, "body_hash": f"b{n}",
             "message_id": message_id or f"m{n}", "detail": {"at_ns": int(at * SECOND)}}]  # fmt: skip


def request(start: int, until: int) -> list[Row]:
    """Ask for a replay of orders between two seconds."""
    detail = {"request": "r", "domain": "orders", "from_ns": start * SECOND,
              "until_ns": until * SECOND, "narrow": False}  # fmt: skip
    return [{"kind": "replay", "topic": "ampy.dev.control.v1.replay_requests", "detail": detail}]


# Everybody had time enough, and the log was read to its end.
OVER = [
    {"kind": "mark", "t_ns": 100 * SECOND, "detail": {"drained": True}},
    {"kind": "mark", "t_ns": 100 * SECOND, "detail": {"audited": True}},
]
TRIES = [{"kind": "mark", "detail": {"max_attempts": 2}}]
SLOW = [{"kind": "mark", "detail": {"backoff_base_ms": 400}}]


def retries(pauses: tuple[float, ...], jitter: float) -> list[Row]:
    """Thirty refused publishes with these pauses, spread evenly by a part of themselves."""
    rows = list(SLOW)
    for n in range(30):
        rows += pub(n, "fail")
        at = 0.0
        rows += wire(n, at=at)
        for pause in pauses:
            at += pause * (1 + jitter * (n / 29 - 0.5))
            rows += wire(n, at=at)
    return [*rows, *OVER]


def pair(*, joined: bool = True) -> list[Row]:
    """Two records, published."""
    return [*pub(0), *pub(1), *(member() if joined else [])]


PLANTED: dict[str, tuple[list[Row], list[Row]]] = {
    "phantom": (
        [*pair(), *handled(0)],
        [*pair(), *handled(7)],
    ),
    "failed_but_visible": (
        [*pub(0, "fail"), *pub(1), *log(1), *OVER],
        [*pub(0, "fail"), *pub(1), *log(0, 1), *OVER],
    ),
    "lost_from_log": ([*pair(), *log(0, 1), *OVER], [*pair(), *log(1), *OVER]),
    "lost": (
        [*pair(), *handled(0), *handled(1), *log(0, 1), *OVER],
        [*pair(), *handled(1), *log(0, 1), *OVER],
    ),
    "skipped": (
        [*pair(), *handled(0), *handled(1), *log(0, 1), *OVER],
        [*pair(), *handled(1), *log(0, 1), *OVER],
    ),
    "undrained": (
        [*pair(), *handled(0), *handled(1), *log(0, 1), *OVER],
        [*pair(), *handled(0), *log(0, 1), *OVER],
    ),
    "ack_without_effect": (
        [*pair(), *handled(0), *handled(1), *floor(2), *log(0, 1), *OVER],
        [*pair(), *handled(0), *floor(2), *log(0, 1), *OVER],
    ),
    "checkpoint_ahead": (
        [*pair(), *handled(0), *floor(1), *handled(1), *floor(2), *log(0, 1), *OVER],
        [*pair(), *handled(0), *floor(2), *handled(1), *log(0, 1), *OVER],
    ),
    "checkpoint_regress": (
        [*pair(), *handled(0), *floor(1), *floor(2), *OVER],
        [*pair(), *handled(0), *floor(2), *floor(1), *OVER],
    ),
    "resume_gap": (
        [*pub(0), *pub(1), *pub(2), *member(), *handled(0), *member("t"), *handled(1, "t"),
         *handled(2, "t"), *log(0, 1, 2), *OVER],
        [*pub(0), *pub(1), *pub(2), *member(), *handled(0), *member("t"), *handled(2, "t"),
         *log(0, 1, 2), *OVER],
    ),
    "stuck": (
        [*pair(), *given(0), *end(0, "settle"), *given(0, attempt=2), *end(0, attempt=2),
         *handled(1), *log(0, 1), *OVER],
        [*pair(), *given(0), *end(0, "settle"), *handled(1), *log(0, 1), *OVER],
    ),
    "redelivered_after_crash": (
        [*pair(), *given(0), *fault("killed", actor="s"), *member("t"), *handled(0, "t"),
         *handled(1, "t"), *log(0, 1), *OVER],
        [*pair(), *given(0), *fault("killed", actor="s"), *member("t"), *handled(1, "t"),
         *log(0, 1), *OVER],
    ),
    "zombie_effect": (
        [*pair(), *given(0, t_ns=0), *fault("paused", subscription="s", t_ns=SECOND), *member("t"),
         *given(0, "t", t_ns=2 * SECOND), *end(0, sub="t"), *given(1, "t", t_ns=2 * SECOND),
         *end(1, sub="t"), *fault("resumed", subscription="s", t_ns=3 * SECOND),
         *log(0, 1), *OVER],
        [*pub(0), *pub(1), *pub(2), *member(), *given(2, t_ns=0),
         *fault("paused", subscription="s", t_ns=SECOND), *member("t"),
         *given(1, "t", t_ns=2 * SECOND), *end(1, sub="t"),
         *fault("resumed", subscription="s", t_ns=3 * SECOND),
         *given(0, t_ns=9 * SECOND), *end(0), *log(0, 1, 2), *OVER],
    ),
    "double_effect": (
        [*pair(), *given(0), *given(0, attempt=2), *end(0), *end(0, attempt=2)],
        [*pair(), *handled(0), *given(0, attempt=2), *end(0, attempt=2)],
    ),
    "double_effect_by_key": (
        [*pair(), *handled(0), *handled(1)],
        [*pair(), *handled(0), *given(1, dedupe_key="d0"), *end(1)],
    ),
    "unknown_outcomes": (
        [*pub(0, "info"), *member(), *handled(0), *OVER],
        [*pub(0, "info"), *member(), *handled(0), *given(0, attempt=2), *end(0, attempt=2), *OVER],
    ),
    "delivery_order": (
        [*pair(), *handled(0), *handled(1)],
        [*pair(), *handled(1), *handled(0)],
    ),
    "order_effects": (
        [*pair(), *given(0), *given(1), *end(0), *end(1)],
        [*pair(), *given(0), *given(1), *end(1), *end(0)],
    ),
    "attempts_beyond_bound": (
        [*TRIES, *pair(), *given(0), *end(0, "settle"), *given(0, attempt=2), *end(0, attempt=2)],
        [*TRIES, *pair(), *given(0), *given(0, attempt=2), *given(0, attempt=3)],
    ),
    "attempt_numbers": (
        [*pair(), *given(0), *given(0, attempt=2)],
        [*pair(), *given(0, attempt=2), *given(0, attempt=1)],
    ),
    "both_ends": (
        [*pair(), *handled(0), *log(0, 1), *graves(1), *OVER],
        [*pair(), *handled(0), *log(0, 1), *graves(0), *OVER],
    ),
    "corruption_passed": (
        [*inject(5, corrupt=True, position=6), *pair(), *handled(0), *log(0, 5), *graves(5), *OVER],
        [*inject(5, corrupt=True, position=6), *pair(), *handled(5), *log(0, 5), *graves(5), *OVER],
    ),
    "dlq_missing": (
        [*TRIES, *pair(), *inject(5, corrupt=True), *given(0), *end(0, "settle"),
         *given(0, attempt=2), *end(0, "settle", attempt=2), *log(0, 1, 5), *graves(0, 5), *OVER],
        [*TRIES, *pair(), *inject(5, corrupt=True), *given(0), *end(0, "settle"),
         *given(0, attempt=2), *end(0, "settle", attempt=2), *log(0, 1, 5), *graves(5), *OVER],
    ),
    "dlq_spurious": (
        [*pair(), *given(0), *end(0, "settle"), *log(0, 1), *graves(0), *OVER],
        [*pair(), *handled(0), *log(0, 1), *graves(0), *OVER],
    ),
    "dlq_fidelity": (
        [*pair(), *log(0, 1), *graves(0), *OVER],
        [*pair(), *log(0, 1), *graves(0, missing=2), *OVER],
    ),
    "credit_overrun": (
        [*pair(joined=False), *member(credit=1), *handled(0), *given(1)],
        [*pair(joined=False), *member(credit=1), *given(0), *given(1)],
    ),
    "silent_drop": (
        [*fault("stall"), *pair(), *fault("healed"), *handled(0), *handled(1), *log(0, 1), *OVER],
        [*fault("stall"), *pair(), *fault("healed"), *handled(0), *log(0), *OVER],
    ),
    "log_duplicates": (
        [*pair(), *log(0, 1), *OVER],
        [*pair(), *log(0, 1, 1), *OVER],
    ),
    "one_position_two_records": (
        [*pair(), *handled(0), *log(0, 1), *OVER],
        [*pair(), *given(0, position="2"), *log(0, 1), *OVER],
    ),
    "producer_keeps_id": (
        [*pub(0), *wire(0), *wire(0), *log(0), *OVER],
        [*pub(0), *wire(0), *wire(0, "other"), *log(0), *OVER],
    ),
    "producer_backoff": (
        retries((0.4, 0.8, 1.6), 0.5),
        retries((0.4, 0.4, 0.4), 0.5),
    ),
    "producer_jitter": (
        retries((0.4, 0.8, 1.6), 0.5),
        retries((0.4, 0.8, 1.6), 0.001),
    ),
    "recovered": (
        [*pub(0), *fault("healed"), *pub(1), *member(), *handled(1), *OVER],
        [*pub(0), *fault("healed"), *pub(1, "info"), *member(), *handled(0), *OVER],
    ),
    "kept_over_the_fault": (
        [*pub(0), *fault("healed"), *pub(1), *log(0, 1), *OVER],
        [*pub(0), *fault("healed"), *pub(1), *log(1), *OVER],
    ),
    "replay_missing": (
        [*pub(0), *pub(1), *member(), *request(0, 5), *handled(0, replay="r"),
         *handled(1, replay="r"), *log(0, 1), *OVER],
        [*pub(0), *pub(1), *member(), *request(0, 5), *handled(1, replay="r"), *log(0, 1), *OVER],
    ),
    "replay_extra": (
        [*pub(0), *pub(1), *request(0, 1), *member(), *handled(0, replay="r"), *log(0, 1), *OVER],
        [*pub(0), *pub(1), *request(0, 1), *member(), *handled(1, replay="r"), *log(0, 1), *OVER],
    ),
    "replay_effect": (
        [*pair(), *handled(0), *request(0, 5), *handled(1, replay="r"), *log(0, 1), *OVER],
        [*pair(), *handled(0), *request(0, 5), *given(0, attempt=2, replay="r"),
         *end(0, attempt=2), *log(0, 1), *OVER],
    ),
}  # fmt: skip


# Other ways in which the same can be broken: (property, how, sound, broken).
ALSO: list[tuple[str, str, list[Row], list[Row]]] = [
    ("phantom", "a payload changed on the way",
     [*pair(), *handled(0)],
     [*pair(), *given(0, body_hash="b0-cut"), *end(0)]),
    ("phantom", "made up beside the binding's own signals",
     [*pair(), *given(0, body_hash="lag", topic="ampy.dev.metrics.v1.ampy-bus"), *end(0)],
     [*pair(), *given(0, body_hash="lag", topic="ampy.dev.news.v1"), *end(0)]),
    ("failed_but_visible", "refused, and published again by another call that failed as well",
     [*pub(0, "fail"), *pub(0, producer="q"), *log(0), *OVER],
     [*pub(0, "fail"), *pub(0, "fail", producer="q"), *log(0), *OVER]),
    ("lost_from_log", "the raw client lost nothing",
     [*pair(), *inject(5, position=6), *log(0, 1, 5), *OVER],
     [*pair(), *inject(5, position=6), *log(0, 5), *OVER]),
    ("lost", "handled by another group only",
     [*pair(), *handled(0), *handled(1), *log(0, 1), *OVER],
     [*pair(), *given(0, "t", group="h"), *end(0, sub="t", group="h"), *handled(1),
      *log(0, 1), *OVER]),
    ("lost", "given a first time, long ago",
     [*pair(), *given(0), *handled(1), *given(0, attempt=2, t_ns=95 * SECOND), *log(0, 1), *OVER],
     [*pair(), *given(0), *handled(1), *given(0, attempt=2, t_ns=80 * SECOND), *log(0, 1), *OVER]),
    ("undrained", "still in some hands when time was up",
     [*pair(), *handled(1), *handled(0), *log(0, 1), *OVER],
     [*pair(), *handled(1), *given(0, t_ns=95 * SECOND), *log(0, 1), *OVER]),
    # Dead letters that are given to a handler are no live records of the group.
    ("skipped", "a dead letter inspected is none handled later",
     [*pub(0), *pub(1), *pub(2, key="l"), *member(), *letter(1), *end(1), *given(2, key="l"),
      *end(2), *log(0, 1), *log(2, key="l"), *graves(1), *OVER],
     [*pub(0), *pub(1), *member(), *given(1), *end(1), *log(0, 1), *OVER]),
    ("unknown_outcomes", "its dead letter inspected",
     [*pub(0, "info"), *member(), *handled(0), *letter(0, attempt=2), *end(0, attempt=2), *OVER],
     [*pub(0, "info"), *member(), *handled(0), *given(0, attempt=2), *end(0, attempt=2), *OVER]),
    ("attempt_numbers", "a dead letter at the same place of its own log",
     [*pair(), *given(0), *end(0, "settle"), *given(0, attempt=2), *end(0, "settle", attempt=2),
      *letter(0, attempt=1)],
     [*pair(), *given(0), *end(0, "settle"), *given(0, attempt=2), *end(0, "settle", attempt=2),
      *given(0, attempt=1)]),
    ("dlq_spurious", "an inspector that failed on it",
     [*pair(), *given(0), *end(0, "settle"), *letter(0, attempt=2), *log(0, 1), *graves(0), *OVER],
     [*pair(), *handled(0), *letter(0, attempt=2), *end(0, "settle", attempt=2), *log(0, 1),
      *graves(0), *OVER]),
    ("skipped", "not a duplicate by key of anything handled",
     [*pub(0), *pub(1), *member(), *given(1, dedupe_key="d0"), *end(1), *log(0, 1), *OVER],
     [*pub(0), *pub(1), *member(), *given(1, dedupe_key="d9"), *end(1), *log(0, 1), *OVER]),
    ("ack_without_effect", "its handler failed",
     [*pair(), *handled(0), *given(1), *end(1, "settle"), *floor(1), *log(0, 1), *OVER],
     [*pair(), *handled(0), *given(1), *end(1, "settle"), *floor(2), *log(0, 1), *OVER]),
    ("checkpoint_ahead", "counted when it was delivered",
     [*pair(), *given(0), *end(0), *floor(1), *log(0, 1), *OVER],
     [*pair(), *given(0), *floor(1), *end(0), *log(0, 1), *OVER]),
    ("checkpoint_regress", "back to the start when a member joined",
     [*pair(), *handled(0), *floor(1), *member("t"), *floor(1), *OVER],
     [*pair(), *handled(0), *floor(1), *member("t"), *floor(0), *OVER]),
    ("resume_gap", "a member that came back",
     [*pub(0), *pub(1), *pub(2), *member(), *handled(0), *fault("killed", actor="s"),
      *member("t"), *handled(1, "t"), *handled(2, "t"), *log(0, 1, 2), *OVER],
     [*pub(0), *pub(1), *pub(2), *member(), *handled(0), *given(1), *fault("killed", actor="s"),
      *member("t"), *handled(2, "t"), *log(0, 1, 2), *OVER]),
    ("stuck", "given up after the time-out and forgotten",
     [*pair(), *given(0), *end(0, "abandoned"), *handled(1), *log(0, 1), *graves(0), *OVER],
     [*pair(), *given(0), *end(0, "abandoned"), *handled(1), *log(0, 1), *OVER]),
    ("redelivered_after_crash", "one of two in its hands",
     [*pair(), *given(0), *given(1), *fault("killed", actor="s"), *member("t"), *handled(0, "t"),
      *handled(1, "t"), *log(0, 1), *OVER],
     [*pub(0), *pub(1), *pub(2), *member(), *given(0), *given(1), *fault("killed", actor="s"),
      *member("t"), *handled(1, "t"), *handled(2, "t"), *log(0, 1, 2), *OVER]),
    ("zombie_effect", "what it had buffered is exempt for two seconds only",
     [*pub(0), *pub(1), *pub(2), *member(), *given(2, t_ns=0),
      *fault("paused", subscription="s", t_ns=SECOND), *member("t"),
      *given(1, "t", t_ns=2 * SECOND), *end(1, sub="t"),
      *fault("resumed", subscription="s", t_ns=3 * SECOND),
      *given(0, t_ns=4 * SECOND), *end(0), *log(0, 1, 2), *OVER],
     [*pub(0), *pub(1), *pub(2), *member(), *given(2, t_ns=0),
      *fault("paused", subscription="s", t_ns=SECOND), *member("t"),
      *given(1, "t", t_ns=2 * SECOND), *end(1, sub="t"),
      *fault("resumed", subscription="s", t_ns=3 * SECOND),
      *given(0, t_ns=5 * SECOND + 1), *end(0), *log(0, 1, 2), *OVER]),
    ("double_effect", "an id in other letters",
     [*pair(), *handled(0), *given(1, message_id="M1"), *end(1)],
     [*pair(), *handled(0), *given(0, attempt=2, message_id="M0"), *end(0, attempt=2)]),
    ("double_effect", "by another member, too late to be a race",
     [*pair(), *given(0, t_ns=0), *end(0, t_ns=0), *member("t"),
      *given(0, "t", t_ns=SECOND // 4), *end(0, sub="t")],
     [*pair(), *given(0, t_ns=0), *end(0, t_ns=0), *member("t"),
      *given(0, "t", t_ns=SECOND // 4 + 1), *end(0, sub="t")]),
    ("double_effect", "by a member that was frozen before, not while it was handled",
     [*pair(), *given(1, t_ns=0), *fault("paused", subscription="s", t_ns=0), *member("t"),
      *handled(0, "t", t_ns=0), *fault("resumed", subscription="s", t_ns=SECOND),
      *given(0, t_ns=2 * SECOND), *end(0)],
     [*pair(), *given(1, t_ns=0), *member("t"), *handled(0, "t", t_ns=0),
      *fault("paused", subscription="s", t_ns=0),
      *fault("resumed", subscription="s", t_ns=SECOND), *given(0, t_ns=2 * SECOND), *end(0)]),
    ("double_effect_by_key", "in one topic",
     [*pair(), *handled(0), *given(1, dedupe_key="d0", topic="ampy.dev.bars.v1.X"), *end(1)],
     [*pair(), *handled(0), *given(1, dedupe_key="d0"), *end(1)]),
    ("unknown_outcomes", "tried again under another id",
     [*pub(0, "info"), *pub(0, producer="q"), *member(), *handled(0),
      *given(0, attempt=2, message_id="other", position="2"), *end(0, attempt=2), *OVER],
     [*pub(0, "info"), *member(), *handled(0),
      *given(0, attempt=2, message_id="other", position="2"), *end(0, attempt=2), *OVER]),
    ("delivery_order", "of one topic",
     [*pub(0, topic="ampy.dev.bars.v1.X"), *pub(1), *pub(2), *member(), *handled(1), *handled(2),
      *given(0, topic="ampy.dev.bars.v1.X"), *end(0)],
     [*pub(0, topic="ampy.dev.bars.v1.X"), *pub(1, topic="ampy.dev.bars.v1.X"), *pub(2), *member(),
      *given(1, topic="ampy.dev.bars.v1.X"), *given(0, topic="ampy.dev.bars.v1.X")]),
    ("delivery_order", "two members, one clearly later",
     [*pair(), *member("t"), *given(1, "t", t_ns=2 * SECOND), *given(0, t_ns=2 * SECOND + 1)],
     [*pair(), *member("t"), *given(1, "t", t_ns=2 * SECOND), *given(0, t_ns=3 * SECOND)]),
    ("order_effects", "two members, one clearly later",
     [*pair(), *member("t"), *given(1, "t", t_ns=2 * SECOND), *end(1, sub="t"),
      *given(0, t_ns=2 * SECOND + 1), *end(0)],
     [*pair(), *member("t"), *given(1, "t", t_ns=2 * SECOND), *end(1, sub="t"),
      *given(0, t_ns=3 * SECOND), *end(0)]),
    ("delivery_order", "not what a replay brings",
     [*pair(), *handled(1), *request(0, 5), *handled(0, replay="r"), *pub(2), *handled(2)],
     [*pair(), *handled(1), *request(0, 5), *handled(0), *pub(2), *handled(2)]),
    ("order_effects", "an instruction that was not given up",
     [*pub(0), *pub(1), *pub(2), *member(), *given(0), *end(0, "settle"), *handled(1),
      *handled(2), *given(0, attempt=2), *end(0, attempt=2), *log(0, 1, 2), *graves(0), *OVER],
     [*pub(0), *pub(1), *pub(2), *member(), *given(0), *end(0, "settle"), *handled(1),
      *handled(2), *given(0, attempt=2), *end(0, attempt=2), *log(0, 1, 2), *OVER]),
    ("attempts_beyond_bound", "crashes count, redriven copies begin anew",
     [*TRIES, *pair(), *given(0), *end(0, "settle"), *given(0, attempt=2), *end(0, "settle", attempt=2),
      *given(0, position="9", delivery="x"), *end(0, delivery="x")],
     [*TRIES, *pair(), *given(0), *fault("killed", actor="s"), *member("t"), *given(0, "t", 2),
      *fault("killed", actor="t"), *member("u"), *given(0, "u", 3)]),
    ("attempt_numbers", "the same number twice",
     [*pair(), *given(0), *given(0, attempt=2), *request(0, 5), *given(0, replay="r", delivery="x")],
     [*pair(), *given(0), *given(0, attempt=2), *given(0, delivery="x", attempt=2)]),
    ("attempt_numbers", "below one",
     [*pair(), *given(0), *given(0, attempt=2)],
     [*pair(), *given(0, attempt=0), *given(0, attempt=2)]),
    ("both_ends", "not redriven, not replayed, not frozen",
     [*pair(), *given(0), *end(0, "settle"), *given(0, attempt=2, position="9"), *end(0, attempt=2),
      *log(0, 1), *log(0), *graves(0), *OVER],
     [*pair(), *given(0), *end(0, "settle"), *given(0, attempt=2), *end(0, attempt=2),
      *log(0, 1), *graves(0), *OVER]),
    ("corruption_passed", "after a sound one, to no DLQ consumer",
     [*inject(5, corrupt=True, position=6), *pair(), *handled(0),
      *given(5, topic="ampy.dev.dlq.v1.orders"), *end(5), *log(0, 5), *graves(5), *OVER],
     [*inject(5, corrupt=True, position=6), *pair(), *handled(0), *given(5), *end(5, "settle"),
      *log(0, 5), *graves(5), *OVER]),
    ("dlq_missing", "a broken record that was passed over",
     [*inject(5, corrupt=True), *pub(6), *pub(7), *member(), *handled(6), *handled(7),
      *log(5, 6, 7), *graves(5), *OVER],
     [*inject(5, corrupt=True), *pub(6), *pub(7), *member(), *handled(6), *handled(7),
      *log(5, 6, 7), *graves(7), *OVER]),
    ("dlq_spurious", "an attempt of another record failed",
     [*pair(), *given(0), *end(0, "abandoned"), *handled(1), *log(0, 1), *graves(0), *OVER],
     [*pair(), *given(0), *end(0, "abandoned"), *handled(1), *log(0, 1), *graves(0, 1), *OVER]),
    ("dlq_spurious", "never tried at all",
     [*pair(), *given(0), *fault("killed", actor="s"), *log(0, 1), *graves(0), *OVER],
     [*pair(), *given(0), *fault("killed", actor="s"), *log(0, 1), *graves(0, 1), *OVER]),
    ("dlq_fidelity", "another payload",
     [*pair(), *log(0, 1), *graves(0), *OVER],
     [*pair(), *log(0, 1), *graves(0, body="b0-cut"), *OVER]),
    ("credit_overrun", "a later grant is granted",
     [*pair(joined=False), *member(credit=1), *given(0), *given(1),
      {"kind": "mark", "subscription": "s", "detail": {"credit": 1}}],
     [*pub(0), *pub(1), *pub(2), *member(credit=1), *given(0), *given(1), *given(2),
      {"kind": "mark", "subscription": "s", "detail": {"credit": 1}}]),
    ("silent_drop", "stored, and passed over",
     [*fault("stall"), *pair(), *fault("healed"), *handled(0), *log(0, 1), *OVER],
     [*fault("stall"), *pair(), *fault("healed"), *handled(1), *log(0, 1), *OVER]),
    ("log_duplicates", "not injected",
     [*pair(), *inject(0, position=3), *log(0, 0, 1), *OVER],
     [*pair(), *log(0, 0, 1), *OVER]),
    ("one_position_two_records", "the broker lost nothing",
     [*pair(), *inject(5, position=6), *given(0), *log(0, 1, 5), *OVER],
     [*pair(), *inject(5, position=6), *given(0, position="2"), *log(0, 1, 5), *OVER]),
    ("producer_keeps_id", "ids in other letters are the same",
     [*pub(0), *wire(0), *wire(0, "M0"), *log(0), *OVER],
     [*pub(0), *wire(0), *wire(0, "M0"), *wire(0, "M1"), *log(0), *OVER]),
    ("producer_backoff", "pauses that shrink",
     retries((0.4, 0.6, 0.9), 0.5),
     retries((0.8, 0.4, 0.2), 0.5)),
    ("producer_jitter", "two producers in step",
     retries((0.4, 0.8, 1.6), 0.06),
     retries((0.4, 0.8, 1.6), 0.04)),
    ("recovered", "acknowledged, but handled no more",
     [*pub(0), *member(), *handled(0), *fault("healed"), *pub(1), *given(1), *end(1), *OVER],
     [*pub(0), *member(), *handled(0), *fault("healed"), *pub(1), *given(1), *end(1, "settle"),
      *OVER]),
    ("kept_over_the_fault", "before the second fault",
     [*fault("healed"), *pub(0), *fault("healed"), *pub(1), *log(0), *OVER],
     [*fault("healed"), *pub(0), *fault("healed"), *pub(1), *log(1), *OVER]),
    ("replay_missing", "the first record of the window",
     [*pub(0), *pub(1), *pub(2), *member(), *request(1, 3), *handled(1, replay="r"),
      *handled(2, replay="r"), *log(0, 1, 2), *OVER],
     [*pub(0), *pub(1), *pub(2), *member(), *request(1, 3), *handled(2, replay="r"),
      *log(0, 1, 2), *OVER]),
    ("replay_missing", "not merely interrupted",
     [*pub(0), *pub(1), *pub(2), *member(), *request(0, 5), *handled(0, replay="r"),
      *fault("killed", actor="s"), *log(0, 1, 2), *OVER],
     [*pub(0), *pub(1), *pub(2), *member(), *request(0, 5), *handled(0, replay="r"),
      *handled(2, replay="r"), *fault("killed", actor="s"), *log(0, 1, 2), *OVER]),
    ("replay_extra", "the end of the window",
     [*pub(0), *pub(1), *request(0, 2), *member(), *handled(1, replay="r"), *log(0, 1), *OVER],
     [*pub(0), *pub(1), *request(0, 1), *member(), *handled(1, replay="r"), *log(0, 1), *OVER]),
    ("replay_extra", "before the window",
     [*pub(0), *pub(1), *request(1, 2), *member(), *handled(1, replay="r"), *log(0, 1), *OVER],
     [*pub(0), *pub(1), *request(1, 2), *member(), *handled(0, replay="r"), *log(0, 1), *OVER]),
    ("replay_extra", "another domain",
     [*pub(0), *request(0, 5), *member(), *handled(0, replay="r"), *log(0), *OVER],
     [*pub(0), *request(0, 5), *member(), *handled(0, replay="r", topic="ampy.dev.bars.v1.X"),
      *OVER]),
    ("replay_extra", "another env",
     [*pub(0), *request(0, 5), *member(), *handled(0, replay="r"), *log(0), *OVER],
     [*pub(0), *request(0, 5), *member(),
      *handled(0, replay="r", topic="ampy.paper.orders.v1.requests"), *OVER]),
    ("replay_effect", "a second replay of the same",
     [*pair(), *request(0, 5), *given(0, replay="r"), *end(0, "settle"),
      *given(0, attempt=2, replay="r"), *end(0, attempt=2), *request(0, 5), *log(0, 1), *OVER],
     [*pair(), *request(0, 5), *handled(0, replay="r"), *request(0, 5),
      *given(0, attempt=2, replay="r"), *end(0, attempt=2), *log(0, 1), *OVER]),
]  # fmt: skip

# What a correct binding may do and was once accused of: (property, what, history).
SOUND: list[tuple[str, str, list[Row]]] = [
    ("lost", "the second copy of a handled record stands behind one that is late",
     [*pub(0), *pub(1), *member(), *handled(0), *log(0, 1), *copy(0, 9), *OVER]),
    ("lost", "a replay is ahead of the group",
     [*pair(), *request(0, 5), *handled(1, replay="r"), *log(0, 1), *OVER]),
    ("lost", "a record was overtaken while it is tried again, and the end comes too soon",
     [*pair(), *given(0), *end(0, "settle", t_ns=94 * SECOND), *handled(1, t_ns=95 * SECOND),
      *given(0, attempt=2, t_ns=96 * SECOND), *log(0, 1), *OVER]),
    ("one_position_two_records", "the broker lost the end of its log, the raw record too",
     [*pair(), *inject(5, position=6), *given(0, position="2"), *log(0, 1), *OVER]),
    ("skipped", "a replay is ahead of the group",
     [*pair(), *request(0, 5), *handled(1, replay="r"), *log(0, 1), *OVER]),
    ("skipped", "the caller published once more what it had published before",
     [*pub(0), *pub(1), *pub(2, body_hash="b0"), *member(), *handled(0), *log(0, 1), *OVER]),
    ("resume_gap", "there is a backlog, and nothing of its key was handled since",
     [*pub(0), *pub(1), *pub(2, key="l"), *member(), *handled(0), *member("t"),
      *given(2, "t", key="l"), *end(2, sub="t"), *log(0, 1), *log(2, key="l"), *OVER]),
    ("stuck", "a replay failed where the group has not come yet",
     [*pair(), *handled(1), *pub(2), *request(0, 5), *given(2, replay="r"), *end(2, "settle"),
      *log(0, 1, 2), *OVER]),
    ("stuck", "the next attempt is not due yet",
     [*pair(), *given(0, t_ns=95 * SECOND), *end(0, "settle", t_ns=95 * SECOND),
      *handled(1, t_ns=96 * SECOND), *log(0, 1), *OVER]),
    ("redelivered_after_crash", "given to another, who has it in hand",
     [*pair(), *given(0), *fault("killed", actor="s"), *member("t"), *given(0, "t"),
      *handled(1, "t"), *log(0, 1), *OVER]),
    ("silent_drop", "stored, and late",
     [*fault("stall"), *pair(), *fault("healed"), *handled(0), *log(0, 1), *OVER]),
    ("recovered", "nobody tried",
     [*pair(), *handled(0), *fault("healed"), *log(0, 1), *OVER]),
    ("recovered", "what was tried was a duplicate of what had been handled",
     [*pub(0), *member(), *handled(0), *fault("healed"), *pub(1, dedupe_key="d0"), *log(0),
      *log(1, dedupe_key="d0"), *OVER]),
    ("recovered", "what was tried is a dead letter",
     [*pub(0), *member(), *handled(0), *fault("healed"), *pub(1), *log(0, 1), *graves(1), *OVER]),
    ("double_effect", "one of two members was already at it",
     [*pair(), *member("t"), *handled(0), *given(0, "t", attempt=2), *end(0, sub="t", attempt=2)]),
    ("unknown_outcomes", "the caller published it once more, as another record",
     [*pub(0, "info"), *pub(5, body_hash="b0"), *member(), *handled(0),
      *given(0, message_id="m5", delivery="x"), *end(0, delivery="x"), *OVER]),
    ("delivery_order", "the caller published the unknown one once more",
     [*pub(0, "info"), *pub(1), *pub(2, body_hash="b0"), *member(), *handled(0), *handled(1)]),
    ("delivery_order", "two members, and the first was heard late",
     [*pair(), *member("t"), *given(1, "t", t_ns=2 * SECOND), *given(0, t_ns=2 * SECOND + 1)]),
    ("order_effects", "two members, and the first was heard late",
     [*pair(), *member("t"), *given(1, "t", t_ns=2 * SECOND), *end(1, sub="t"),
      *given(0, t_ns=2 * SECOND + 1), *end(0)]),
    ("delivery_order", "a group for dead letters gets them as they come",
     [*pair(), *given(1, topic="ampy.dev.dlq.v1.orders"), *given(0, topic="ampy.dev.dlq.v1.orders")]),
    ("attempts_beyond_bound", "a dead letter that was redriven",
     [*TRIES, *pair(), *given(0), *end(0, "settle"), *given(0, attempt=2),
      *end(0, "settle", attempt=2), *given(0, position="3", delivery="x"), *end(0, delivery="x"),
      *log(0, 1), *copy(0, 3), *graves(0), *OVER]),
    ("attempts_beyond_bound", "a broker that was killed has forgotten an attempt",
     [*TRIES, *pair(), *given(0), *fault("kill-broker"), *given(0, attempt=2), *given(0, attempt=3)]),
    ("attempt_numbers", "a replay counts for itself",
     [*pair(), *given(0), *given(0, attempt=2), *request(0, 5), *given(0, replay="r", delivery="x")]),
    ("both_ends", "a dead letter that was redriven",
     [*pair(), *given(0), *end(0, "settle"), *given(0, position="3", delivery="x"),
      *end(0, delivery="x"), *log(0, 1), *copy(0, 3), *graves(0), *OVER]),
    ("both_ends", "a dead letter that was replayed",
     [*pair(), *given(0), *end(0, "settle"), *request(0, 5),
      *given(0, replay="r", delivery="x"), *end(0, delivery="x"), *log(0, 1), *graves(0), *OVER]),
    ("both_ends", "others used the attempts up while its member was frozen",
     [*pair(), *given(0), *fault("paused", subscription="s"), *member("t"), *given(0, "t"),
      *end(0, "settle", "t"), *fault("resumed", subscription="s"), *end(0), *log(0, 1), *graves(0),
      *OVER]),
    ("dlq_missing", "a broken record in the backlog",
     [*pair(), *handled(0), *inject(5, corrupt=True), *log(0, 1, 5), *OVER]),
    ("dlq_missing", "a duplicate of it was handled before its last attempt",
     [*TRIES, *pair(), *given(0), *end(0, "settle"), *given(0, attempt=2),
      *fault("killed", actor="s"), *member("t"), *given(1, "t", dedupe_key="d0"), *end(1, sub="t"),
      *log(0, 1), *OVER]),
    ("ack_without_effect", "the broker lost the end of its log",
     [*pair(), *inject(5, position=3), *floor(2), *handled(0), *log(0, 1), *OVER]),
    ("checkpoint_ahead", "the broker lost the end of its log",
     [*inject(5, position=1), *floor(1), *pub(0), *member(), *handled(0), *log(0), *OVER]),
    ("one_position_two_records", "the broker lost the end of its log",
     [*pair(), *inject(5, position=2), *given(5, position="2"), *end(5), *log(0, 1), *OVER]),
    ("zombie_effect", "a copy of what another had handled stands further behind",
     [*pair(), *member("t"), *given(1, "t", t_ns=0), *fault("paused", subscription="s", t_ns=0),
      *fault("resumed", subscription="s", t_ns=SECOND), *given(0, "t", t_ns=4 * SECOND),
      *end(0, sub="t"), *given(0, t_ns=4 * SECOND, attempt=2), *end(0, attempt=2),
      *log(0, 1), *copy(0, 7), *OVER]),
    ("producer_backoff", "thirty pauses with full jitter whose medians are close by chance",
     retries((0.4, 0.66, 0.66), 1.8)),
    ("replay_missing", "a replay was interrupted, and keys do not wait for one another",
     [*pub(0), *pub(1, key="l"), *member(), *request(0, 5), *given(1, key="l", replay="r"),
      *end(1), *fault("killed", actor="s"), *log(0), *log(1, key="l"), *OVER]),
    ("replay_extra", "an earlier copy of the same was outside of the window",
     [*pub(0), *pub(1), *request(5, 9), *member(), *given(0, position="8", replay="r"), *end(0),
      *log(0, 1), *copy(0, 8, produced_ns=7 * SECOND), *OVER]),
]  # fmt: skip

# Every pair: (property, how, sound, broken).
ALL = [*((name, "", *both) for name, both in PLANTED.items()), *ALSO]


def numbered(scope: str, rows: list[Row]) -> list[Row]:
    """Return the events with their scope, number and, where they name none, a time."""
    return [
        {"case": scope, "seq": seq, "t_ns": seq * 1_000_000, **each}
        for seq, each in enumerate(rows)
    ]
