"""What is said of a consumer that hung under load, for each thing that may have come of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ampy_conformance.suite.judging import Judging
from ampy_conformance.suite.lab import Lab
from ampy_conformance.suite.loading import Pressed
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
    hung=1, backlog=500, lag=480, signalled=True, recovered=True, low="fundamentals", waited=300,
    acknowledged=900, undelivered=0, lost=0, urgent=500, urgent_refused=0,
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
