"""Bindings that are right in their own way are not accused."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from ampy_conformance.report import lines

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

LATE = """
    import dataclasses
    from ampy_conformance.bindings.nats_driver import Driver as Reference

    class Driver(Reference):
        "Its broker hands a dead member's records out again after ten seconds, whatever it is told."
        async def open(self, frame):
            await super().open({**frame, "tuning": {**frame["tuning"], "redelivery_ms": 10000}})
"""
SILENT = """
    from ampy_conformance.bindings.memory_driver import Driver as Reference

    class Driver(Reference):
        "It cannot tell what became of a verdict, and keeps no header that it does not know."
        async def settle(self, frame):
            answer = await super().settle(frame)
            return {"results": [{"delivery": e["delivery"], "ack": "info"} for e in answer["results"]]}

        def emit(self, event, **fields):
            if "headers" in fields:
                fields["headers"].pop("x_risk_band", None)
            super().emit(event, **fields)
"""
PICKY = """
    from ampy_conformance.bindings.memory_driver import Driver as Reference

    class Driver(Reference):
        "It has no partition key for one domain, and says so."
        async def _publish(self, bus, builder, record):
            if ".universe." in record["topic"]:
                return {"outcome": "fail", "code": "unsupported"}
            return await super()._publish(bus, builder, record)
"""
COUNTS = """
    from ampy_conformance.bindings.memory_driver import Driver as Reference
    from ampy_conformance.bindings.meter import Meter

    class Counts(Meter):
        "A record is consumed when a handler is given it, and its size counts on both sides."
        def consumed(self, topic, consumer):
            pass

        def taken(self, topic, consumer, size):
            self._consumed.count(topic, consumer)
            self._bytes.observe(topic, size)

    class Driver(Reference):
        meter = Counts
        def emit(self, event, **fields):
            if event == "deliver" and fields["attempt"] == 1:
                group = self.subscriptions[fields["subscription"]].group
                size = len(fields["payload"]) * 3 // 4
                self.counters.taken(fields["topic"], group, size)
            super().emit(event, **fields)
"""

UNTOLD = """
    from ampy_conformance.bindings.memory_driver import Driver as Reference

    class Driver(Reference):
        "It cannot tell a replayed record from another one."
        def emit(self, event, **fields):
            fields.pop("replay", None)
            super().emit(event, **fields)
"""
FROM_THE_START = """
    from ampy_conformance.bindings.memory_driver import Driver as Reference

    class Driver(Reference):
        "Every group begins at the start of the log; nothing is ever replayed."
        async def subscribe(self, frame):
            return await super().subscribe({**frame, "start": "earliest"})

        async def serve_replay(self, frame):
            pass
"""
PATIENT = """
    from ampy_conformance.bindings.memory_driver import Driver as Reference

    class Driver(Reference):
        "Its pauses are its own: seconds, whatever it is told."
        async def open(self, frame):
            tuning = {**frame["tuning"], "backoff_base_ms": 4000, "backoff_max_ms": 6000}
            await super().open({**frame, "tuning": tuning})
"""

HOARDS = """
    from ampy_conformance.bindings.consumer import ConsumerCore
    from ampy_conformance.bindings.memory_driver import Driver as Reference

    class Core(ConsumerCore):
        "What cannot be handled it neither buries nor acknowledges; the broker hands it out for ever."
        def _kill(self, record):
            self._forget(record)
            return []

    class Driver(Reference):
        core = Core
"""


def certified(tmp_path: Path, body: str, *clauses: str, scale: str = "1") -> lines.Report:
    """Certify a driver with this source for these clauses, and return the report."""
    (tmp_path / "fair.py").write_text(textwrap.dedent(body), "utf-8")
    path = tmp_path / "report.jsonl"
    selected = [word for each in clauses for word in ("--clause", each)]
    line = [
        sys.executable,
        "-m",
        "ampy_conformance",
        "certify",
        "py:fair:Driver",
        "--seed",
        "3",
        "--time-scale",
        scale,
    ]
    done = subprocess.run(
        [*line, "--report", str(path), *selected],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    report = lines.read(path)
    assert report.end["exit"] in (0, 1, 6), done.stdout + done.stderr
    return report


def outcomes(tmp_path: Path, body: str, *clauses: str) -> dict[str, str]:
    """Certify a driver with this source, and return what became of these clauses."""
    found = certified(tmp_path, body, *clauses).clauses
    return {each: found[each]["outcome"] for each in clauses}


def test_a_late_redelivery_is_no_loss(tmp_path: Path) -> None:
    wanted = ("QOS-02", "RTY-08")
    assert outcomes(tmp_path, LATE, *wanted) == dict.fromkeys(wanted, "pass")


def test_dead_letters_are_waited_for_as_long_as_the_contract_allows(tmp_path: Path) -> None:
    wanted = ("DLQ-01", "DLQ-10", "RTY-06")
    assert outcomes(tmp_path, PATIENT, *wanted) == dict.fromkeys(wanted, "pass")


def test_what_never_becomes_a_dead_letter_is_not_waited_for_in_every_case(tmp_path: Path) -> None:
    report = certified(tmp_path, HOARDS, "DLQ-02", "DLQ-03", scale="0.2")
    for clause in ("DLQ-02", "DLQ-03"):
        first, *others = [e["outcome"] for e in report.cases if clause in e["clauses"]]
        assert first == "fail"  # waited for in full
        assert others
        assert set(others) == {"inconclusive"}


def test_replays_are_judged_where_they_arrive(tmp_path: Path) -> None:
    wanted = [f"RPL-{number:02d}" for number in (1, 2, 3, 4, 5, 7, 8, 9, 10, 12)]
    assert outcomes(tmp_path, UNTOLD, *wanted) == dict.fromkeys(wanted, "pass")


def test_what_comes_before_the_request_is_no_replay(tmp_path: Path) -> None:
    wanted = ("RPL-01", "RPL-04", "RPL-09")
    found = outcomes(tmp_path, FROM_THE_START, *wanted)
    assert found == dict.fromkeys(wanted, "inconclusive")


def test_what_a_binding_cannot_tell_the_broker_does(tmp_path: Path) -> None:
    wanted = ("IDM-02", "IDM-03", "QOS-04", "HDR-25")
    assert outcomes(tmp_path, SILENT, *wanted) == dict.fromkeys(wanted, "pass")


def test_a_domain_that_is_refused_leaves_the_others_to_be_judged(tmp_path: Path) -> None:
    found = outcomes(tmp_path, PICKY, "HDR-01", "HDR-08", "KEY-bars", "KEY-universe", "TOP-03")
    assert found == {
        "HDR-01": "pass",
        "HDR-08": "pass",
        "KEY-bars": "pass",
        "KEY-universe": "inconclusive",
        "TOP-03": "fail",
    }


def test_metrics_that_count_at_another_moment(tmp_path: Path) -> None:
    wanted = ("OBS-02", "OBS-04")
    assert outcomes(tmp_path, COUNTS, *wanted) == dict.fromkeys(wanted, "pass")
