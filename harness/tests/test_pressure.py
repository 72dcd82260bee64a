"""What is said of a consumer that hung under load, for each thing that may have come of it."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ampy_conformance.driver import DriverRefused
from ampy_conformance.load.exceedance import LOST, SECOND
from ampy_conformance.load.side import Stretch
from ampy_conformance.suite import loading
from ampy_conformance.suite.judging import Judging
from ampy_conformance.suite.lab import Lab
from ampy_conformance.suite.loading import BINDING, Hanging, Pressed, pressed
from ampy_conformance.suite.verdicts import ClauseFailed, Inconclusive


class Fit(Judging):
    """Judges as a lab does, on a machine where nothing is amiss."""

    judge_signal, judge_held_up, judge_pressure = (
        Lab.judge_signal,
        Lab.judge_held_up,
        Lab.judge_pressure,
    )
    _hung, _pressed = Lab._hung, Lab._pressed

    def fit(self):
        pass

    def check_alive(self):
        pass


KEPT = Pressed(
    hung=1, backlog=500, lag=480, signalled=True, recovered=True, heard=True, low="fundamentals",
    told=400, waited=300, acknowledged=900, undelivered=0, lost=0, urgent=500, urgent_refused=0,
)  # fmt: skip
JUDGES = {"BKP-01": "judge_signal", "BKP-02": "judge_held_up", "BKP-03": "judge_pressure"}
FAIL, OPEN = ClauseFailed, Inconclusive


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({}, (None, None, None)),
        ({"hung": 0}, (OPEN, OPEN, OPEN)),
        ({"backlog": 20}, (OPEN, OPEN, None)),
        ({"backlog": 20, "lost": 1}, (OPEN, OPEN, FAIL)),
        ({"lost": 1}, (None, None, FAIL)),
        ({"lag": 0}, (FAIL, None, None)),
        ({"signalled": False, "recovered": False}, (FAIL, OPEN, None)),
        ({"recovered": False}, (FAIL, None, None)),
        ({"waited": 0}, (None, FAIL, OPEN)),
        ({"waited": 199}, (None, OPEN, None)),  # one late record of a busy machine proves nothing
        ({"waited": 0, "told": 9}, (None, OPEN, OPEN)),
        ({"recovered": False, "heard": False}, (OPEN, None, None)),
        ({"recovered": False, "starved": "the machine is busy"}, (OPEN, None, None)),
        ({"starved": "the machine is busy"}, (None, None, None)),
        ({"undelivered": 3}, (None, None, OPEN)),
    ],
)
def test_each_clause_hears_of_its_own_breach(what, said):
    for (clause, judge), wanted in zip(JUDGES.items(), said, strict=True):
        found = None
        try:
            getattr(Fit(), judge)(clause, replace(KEPT, **what))
        except (ClauseFailed, Inconclusive) as error:
            found = type(error)
        assert found is wanted, clause


def stretch(**more: Any) -> Stretch:
    """Four records of orders and four of metrics, a second apart from 0 s, first number 1000."""
    count = 8
    given: dict[str, Any] = {
        "side": BINDING, "first": 1000, "start_ns": 0, "picks": [0] * count,
        "times": [n // 2 * SECOND for n in range(count)], "domains": ["orders", "metrics"] * 4,
        "called": [n // 2 * SECOND for n in range(count)],
        "returned": [n // 2 * SECOND + 1 for n in range(count)],
        "outcomes": [0] * count, "latency": [1] * count, "repeats": 0, "seconds": 4.0, "warm_up": 0.0,
    }  # fmt: skip
    return Stretch(**{**given, **more})


class Hung:
    """A consumer that signalled at once and was released after four seconds."""

    held, lag, signalled, recovered, heard = 1, 30, True, True, True
    signalled_at, released_at = 0, 4 * SECOND


def test_a_record_that_came_too_late_is_looked_for_under_its_own_number() -> None:
    late = stretch(latency=[1, LOST, 1, 1, 1, 1, 1, 1])
    numbers = range(1000, 1008)
    found = pressed(late, Hung(), "metrics", set(numbers), "")  # type: ignore[arg-type]
    assert (found.undelivered, found.lost) == (1, 0)
    found = pressed(late, Hung(), "metrics", set(numbers) - {1001}, "")  # type: ignore[arg-type]
    assert (found.undelivered, found.lost) == (1, 1)


def test_only_who_was_sent_while_producers_knew_was_held_up() -> None:
    slow = stretch(returned=[n // 2 * SECOND + 2 * SECOND for n in range(8)])
    hanging = Hung()
    assert pressed(slow, hanging, "metrics", set(), "").told == 4  # type: ignore[arg-type]
    assert pressed(slow, hanging, "metrics", set(), "").waited == 4  # type: ignore[arg-type]
    assert pressed(stretch(), hanging, "metrics", set(), "").waited == 0  # type: ignore[arg-type]
    hanging.signalled_at = 2 * SECOND
    assert pressed(slow, hanging, "metrics", set(), "").told == 2  # type: ignore[arg-type]
    hanging.signalled_at = None  # type: ignore[assignment]
    assert pressed(slow, hanging, "metrics", set(), "").told == 0  # type: ignore[arg-type]


class Forgetful:
    """A receiver that does not always know how far a consumer is behind."""

    def __init__(self) -> None:
        self.asked = 0
        self.settled: list[str] = []

    def on_event(self, _: str, take: Any) -> None:
        """Deliver one record."""
        take({"event": "deliver", "delivery": "d1"})

    def send(self, _: str, **fields: Any) -> None:
        """Remember what was settled."""
        self.settled += [each["delivery"] for each in fields["verdicts"]]

    def request(self, op: str, **_: Any) -> dict[str, Any]:
        """Tell every second time; the signal is up until the record is settled."""
        self.asked += 1
        if self.asked % 2:
            raise DriverRefused(op, "timeout", "the coordinator is slow", definite=False)
        return {"lag": 30, "signalled": not self.settled}


def test_a_consumer_that_does_not_know_its_lag_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "LOOK", 0.01)
    side = SimpleNamespace(receiver=Forgetful(), join=lambda *_, **__: None)
    hanging = Hanging(side, "orders")  # type: ignore[arg-type]
    with hanging.watched():
        while not hanging.signalled:
            time.sleep(0.01)
        assert not hanging.heard
        hanging.release()
    assert (hanging.lag, hanging.recovered, hanging.heard) == (30, True, True)
