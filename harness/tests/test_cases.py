"""From what a test raised to outcomes: only what was judged to its end has passed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ampy_conformance import contract as contracts
from ampy_conformance.driver import DriverDied, DriverRefused, DriverTimeout
from ampy_conformance.report.outcomes import Outcome
from ampy_conformance.suite import cases
from ampy_conformance.suite.judging import Judging
from ampy_conformance.suite.verdicts import ClauseFailed, Inconclusive, NotClaimed, NotRun


class Lab(Judging):
    """A lab without a binding."""

    def fit(self) -> None:
        """Be fit."""

    def check_alive(self) -> None:
        """Be alive."""


def clauses(*ids: str):
    return [contracts.load().clauses[each] for each in ids]


def judge(ids, lab, error, *, died_before=False):
    return cases.judge(clauses(*ids), lab, error, died_before=died_before)


def test_what_was_judged_passes():
    lab = Lab()
    lab.equal("HDR-01", 1, 1, "")
    case = judge(["HDR-01"], lab, None)
    assert case.clauses == {"HDR-01": Outcome.PASS}


def test_a_clause_that_was_never_judged_is_an_error_of_the_suite():
    lab = Lab()
    lab.true("HDR-01", True, "")
    case = judge(["HDR-01", "HDR-02"], lab, None)
    assert case.clauses == {"HDR-01": Outcome.ERROR, "HDR-02": Outcome.ERROR}
    assert "HDR-02" in case.says


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TypeError("a bug of the suite"), Outcome.ERROR),
        (Inconclusive("control: no"), Outcome.INCONCLUSIVE),
        (NotClaimed("no"), Outcome.NOT_CLAIMED),
        (NotRun("no"), Outcome.NOT_RUN),
        (DriverTimeout("publish was not answered"), Outcome.ERROR),
        (KeyboardInterrupt(), Outcome.ERROR),
    ],
)
def test_a_test_that_broke_off_has_passed_nothing(error, expected):
    """One check held and then the test raised: a check that would have failed may be missing."""
    lab = Lab()
    lab.true("KEY-bars", True, "")
    case = judge(["KEY-bars"], lab, error)
    assert case.clauses == {"KEY-bars": expected}


def test_a_failure_blames_its_clause_and_leaves_the_others_open():
    lab = Lab()
    lab.true("HDR-02", True, "")
    case = judge(["HDR-01", "HDR-02"], lab, ClauseFailed("HDR-01", "no id", "an id", None))
    assert case.clauses == {"HDR-01": Outcome.FAIL, "HDR-02": Outcome.INCONCLUSIVE}
    assert (case.blames, case.says, case.expected) == ("HDR-01", "HDR-01: no id", "an id")


def test_breaking_a_should_is_a_warning():
    case = judge(["HDR-07"], Lab(), ClauseFailed("HDR-07", "x"))
    assert case.clauses == {"HDR-07": Outcome.WARN}


def test_a_clause_that_the_marker_does_not_name_cannot_be_blamed():
    case = judge(["HDR-01"], Lab(), ClauseFailed("HDR-02", "x"))
    assert case.clauses == {"HDR-01": Outcome.ERROR}


def test_a_death_is_proof_only_after_the_control_and_twice():
    lab = Lab()
    assert judge(["QOS-02"], lab, DriverDied("gone")).outcome is Outcome.ERROR
    lab.control(True, "")
    once = judge(["QOS-02"], lab, DriverDied("gone"))
    assert (once.outcome, once.died_under_test) == (Outcome.ERROR, True)
    assert judge(["QOS-02"], lab, DriverDied("gone"), died_before=True).outcome is Outcome.FAIL


def test_a_refused_request_is_no_proof_but_unsupported_is():
    refused = DriverRefused("subscribe", "denied", "no", definite=True)
    assert judge(["QOS-02"], Lab(), refused).outcome is Outcome.INCONCLUSIVE
    unsupported = DriverRefused("subscribe", "unsupported", "no", definite=True)
    assert judge(["QOS-02"], Lab(), unsupported).outcome is Outcome.FAIL


def test_a_control_that_fails_is_inconclusive_and_a_check_that_fails_is_not():
    lab = Lab()
    with pytest.raises(Inconclusive):
        lab.control(False, "nothing arrived")
    with pytest.raises(ClauseFailed):
        lab.equal("HDR-01", 1, 2, "differs")
    with pytest.raises(Inconclusive):
        lab.covered([], "nothing to see")
    assert SimpleNamespace(**vars(lab)).controlled is False
