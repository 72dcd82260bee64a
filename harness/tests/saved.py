"""Whole reports with known content, for the tests of what is made of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.history import Recorder, Writer
from ampy_conformance.report import lines

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "sha256:" + "0" * 64
RUN: dict[str, Any] = {
    "schema": 1,
    "suite": {"name": "ampy-bus-conformance", "version": "0.1.0", "digest": DIGEST},
    "contract": {"name": "ampy-bus", "version": "1.0.0", "digest": DIGEST},
    "driver": {
        "connectable": "exec:./mine", "name": "mine", "version": "3.1", "profiles": ["core"],
        "capabilities": ["redrive"],
    },
    "broker": {"kind": "nats", "version": "2.15.1", "provenance": "embedded"},
    "seed": 7, "selection": {}, "keyword": None, "time_scale": 1.0, "planned": 5,
    "started": "2030-01-01T00:00:00+00:00",
}  # fmt: skip
EVENTS: list[dict[str, Any]] = [
    {"seq": 0, "t_ns": 1_000_000_000, "kind": "mark", "actor": "driver-1/0",
     "detail": {"max_attempts": 3}},
    {"seq": 1, "t_ns": 1_001_000_000, "kind": "invoke", "actor": "harness", "producer": "p1",
     "uid": "p1/XNAS.AAPL/0", "topic": "ampy.dev.bars.v1.XNAS.AAPL", "body_hash": "a" * 64},
    {"seq": 2, "t_ns": 1_003_000_000, "kind": "ok", "actor": "driver-1/0", "producer": "p1",
     "uid": "p1/XNAS.AAPL/0", "position": "1", "body_hash": "a" * 64},
    {"seq": 3, "t_ns": 1_010_000_000, "kind": "fault", "actor": "broker",
     "detail": {"fault": "kill and restart"}},
    {"seq": 4, "t_ns": 3_010_000_000, "kind": "fault", "actor": "harness",
     "detail": {"fault": "healed"}},
    {"seq": 5, "t_ns": 3_020_000_000, "kind": "deliver", "actor": "driver-1/0", "group": "risk",
     "subscription": "s4", "delivery": "d6", "attempt": 1, "position": "1", "body_hash": "a" * 64},
    {"seq": 6, "t_ns": 3_021_000_000, "kind": "effect", "actor": "driver-1/0", "group": "risk",
     "subscription": "s4", "delivery": "d6", "body_hash": "a" * 64, "detail": {"verdict": "ack"}},
    {"seq": 7, "t_ns": 3_022_000_000, "kind": "deliver", "actor": "driver-1/0", "group": "risk",
     "subscription": "s4", "delivery": "d7", "attempt": 2, "position": "1", "body_hash": "a" * 64},
]  # fmt: skip
WIRE: list[dict[str, Any]] = [
    {
        "topic": "ampy.dev.bars.v1.XNAS.AAPL", "position": "1", "stream": "AMPY",
        "headers": [["message_id", "018f5e5c"], ["partition_key", "XNAS.AAPL"]],
        "size": 93, "sha256": "a" * 64, "key": "the Kafka key",
    }
]  # fmt: skip
TEXTS = {
    "HDR-01": "message_id is a UUIDv7.",
    "IDM-01": "A duplicate has no second effect.",
    "ORD-01": "One key, one order.",
    "QOS-01": "At least once.",
    "RPL-01": "A replay covers its window.",
    "SEC-08": "No secrets in headers.",
    "SLO-01": "p99 stays below 10 ms.",
    "TOP-01": "Topics have five tokens.",
    "OBS-01": "Publishes are counted.",
}
PROFILES = {"RPL-01": "replay", "SEC-08": "project"}


def case(name: str, clauses: dict[str, str], says: str = "", **fields: Any) -> dict[str, Any]:
    """Return the fields of a case line; its outcome is that of its first clause."""
    outcome = next(iter(clauses.values()))
    blames = next(iter(clauses)) if outcome in ("fail", "known failure", "warn") else None
    return {
        "id": f"test_it.py::{name}", "title": f"Shows {name}.", "clauses": clauses,
        "outcome": outcome, "says": says, "expected": None, "seen": None, "blames": blames,
        "notes": [], "seconds": 0.25, "transcript": [], **fields,
    }  # fmt: skip


CASES: list[dict[str, Any]] = [
    case("test_ids", {"HDR-01": "pass"}),
    case(
        "test_duplicates[by id]",
        {"IDM-01": "fail"},
        "IDM-01: a duplicate message_id was handled again",
        expected=1,
        seen=2,
        transcript=EVENTS,
        focus=[7],
        wire=WIRE,
    ),
    case("test_order", {"ORD-01": "inconclusive"}, "control: nothing arrived"),
    case("test_delivery", {"QOS-01": "not run"}, "network faults: toxiproxy is not there"),
    case("test_replay", {"RPL-01": "not claimed"}, "the binding does not claim replay"),
    case("test_topics", {"TOP-01": "warn"}, "TOP-01: an underscore is tolerated"),
    case(
        "test_counts",
        {"OBS-01": "known failure"},
        "OBS-01: counted twice",
        notes=["known failure: https://example.org/17, until 2031-02-03"],
    ),
]
REASONS = {"SEC-08": "attested", "SLO-01": "not verified"}


def clause(name: str, outcome: str, **fields: Any) -> dict[str, Any]:
    """Return the fields of a clause line."""
    return {
        "id": name, "level": "MUST", "profile": PROFILES.get(name, "core"), "section": ["6", "4.2"],
        "text": TEXTS.get(name, name), "look": ["Look there."], "outcome": outcome,
        "reason": "", "cases": [], **fields,
    }  # fmt: skip


def profile(claimed: bool = True, **fields: Any) -> dict[str, Any]:
    """Return what the end says of a profile."""
    counts = {"clauses": 6, "must": 6, "must_passed": 2, "must_judged": 5, "failed": ["IDM-01"]}
    return {"claimed": claimed, **counts, **fields}


def write(
    path: Path,
    cases: list[dict[str, Any]] | None = None,
    run: dict[str, Any] | None = None,
    end: dict[str, Any] | None = None,
    clauses: dict[str, str] | None = None,
    extra: list[dict[str, Any]] | None = None,
) -> Path:
    """Write a report whose clauses follow from its cases; `clauses` changes or adds outcomes."""
    cases = CASES if cases is None else cases
    outcomes = {name: each for one in cases for name, each in one["clauses"].items()}
    outcomes |= REASONS | (clauses or {})
    writer = lines.Writer(path)
    writer.write("run", **{**RUN, **(run or {})})
    for each in cases:
        writer.write("start", case=each["id"])
        writer.write("case", **each)
    for each in extra or []:
        writer.write(**each)
    for name, outcome in outcomes.items():
        judged = [each["id"] for each in cases if name in each["clauses"]]
        reason = f"{name} is {outcome}" if name in REASONS else ""
        writer.write("clause", **clause(name, outcome, cases=judged, reason=reason))
    whole: dict[str, Any] = {
        "verdict": "not conformant: core; not claimed: replay",
        "exit": 1,
        "counts": {},
        "profiles": {
            "core": profile(),
            "replay": profile(claimed=False, must_passed=0, must_judged=0, failed=[]),
        },
        "stale": [],
        "trouble": None,
        "seconds": 12.5,
    }
    writer.end(**{**whole, **(end or {})})
    return path


def history(path: Path) -> Path:
    """Write a history of one case: what is published is handled."""
    writer = Writer(path, seed=7, driver={"name": "mine"})
    recorder = Recorder(lambda event: writer.add("test_it.py::test_order", event))
    for each in EVENTS[1:3] + EVENTS[5:7]:
        recorder.add(**{name: fact for name, fact in each.items() if name not in ("seq", "t_ns")})
    writer.end()
    return path
