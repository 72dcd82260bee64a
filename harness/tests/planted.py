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
    body = {"body_hash": f"b{n}", "dedupe_key": f"d{n}"}
    return [
        {"kind": "invoke", "uid": uid, "pseq": n, **body, **facts},
        {"kind": outcome, "uid": uid, "producer": producer, "body_hash": f"b{n}"},
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


def log(*numbers: int, **facts: Any) -> list[Row]:
    """The raw audit: record n stands at position n + 1."""
    return [
        {"kind": "audit", "topic": TOPIC, "key": "k", "body_hash": f"b{n}", "message_id": f"m{n}",
         "dedupe_key": f"d{n}", "position": str(n + 1),
         "detail": {"stream": "S", "produced_ns": n * SECOND, **facts}}
        for n in numbers
    ]  # fmt: skip


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


OVER = [
    {"kind": "mark", "detail": {"drained": True}},
    {"kind": "mark", "detail": {"audited": True}},
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
        [*pair(), *handled(0), *graves(1), *OVER],
        [*pair(), *handled(0), *graves(0), *OVER],
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


def numbered(scope: str, rows: list[Row]) -> list[Row]:
    """Return the events with their scope, number and, where they name none, a time."""
    return [
        {"case": scope, "seq": seq, "t_ns": seq * 1_000_000, **each}
        for seq, each in enumerate(rows)
    ]
