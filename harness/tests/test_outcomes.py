"""Outcomes and exit codes: what may hide behind what (docs/verdicts.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampy_conformance.report.outcomes import GRAVITY, Exit, Outcome, exit_code, gravest

PAIR = st.tuples(st.sampled_from(["MUST", "MUST NOT", "SHOULD", "MAY"]), st.sampled_from(Outcome))


def code(*clauses: tuple[str, Outcome], ran: int = 1, stale: int = 0, **more: bool) -> Exit:
    flags = {"strict": False, "broken": False, **more}
    return exit_code(clauses, ran=ran, stale=stale, **flags)


@pytest.mark.parametrize(
    ("clauses", "more", "expected"),
    [
        ([("MUST", Outcome.PASS)], {}, 0),
        ([("MUST", Outcome.PASS), ("SHOULD", Outcome.WARN)], {}, 0),
        ([("SHOULD", Outcome.WARN)], {"strict": True}, 1),
        ([("MUST", Outcome.FAIL)], {}, 1),
        ([("MUST", Outcome.FAIL)], {"broken": True}, 1),
        ([("MUST", Outcome.FAIL)], {"stale": 1}, 1),
        ([("MUST", Outcome.PASS)], {"broken": True}, 3),
        ([("MUST", Outcome.ERROR)], {"stale": 1}, 3),
        ([("MUST", Outcome.PASS)], {"stale": 1}, 5),
        ([("MUST", Outcome.INCONCLUSIVE)], {"stale": 1}, 5),
        ([("MUST", Outcome.INCONCLUSIVE)], {}, 6),
        ([("MUST NOT", Outcome.NOT_RUN)], {}, 6),
        ([("SHOULD", Outcome.INCONCLUSIVE)], {}, 6),
        ([("SHOULD", Outcome.INCONCLUSIVE), ("MAY", Outcome.PASS)], {}, 0),
        ([("MUST", Outcome.NOT_CLAIMED)], {"ran": 0}, 4),
        ([("MUST", Outcome.KNOWN)], {}, 0),
        ([], {"ran": 0}, 4),
    ],
)
def test_the_table(clauses, more, expected):
    assert code(*clauses, **more) == expected


@given(st.lists(PAIR, max_size=12), st.booleans(), st.integers(0, 2))
def test_nothing_hides_behind_a_pass(clauses, broken, stale):
    outcomes = {outcome for _, outcome in clauses}
    got = code(*clauses, broken=broken, stale=stale, ran=len(clauses))
    if Outcome.FAIL in outcomes:
        assert got == Exit.NOT_CONFORMANT
    if got == Exit.CONFORMANT:
        assert not broken
        assert not stale
        assert not {Outcome.FAIL, Outcome.ERROR} & outcomes
        assert clauses
        if Outcome.INCONCLUSIVE in outcomes:
            assert {Outcome.PASS, Outcome.WARN, Outcome.KNOWN} & outcomes


def test_the_gravest_outcome_stands_for_a_clause():
    assert set(GRAVITY) == set(Outcome)
    assert gravest([Outcome.PASS, Outcome.FAIL, Outcome.ERROR]) is Outcome.FAIL
    assert gravest([Outcome.PASS, Outcome.INCONCLUSIVE]) is Outcome.INCONCLUSIVE
    assert gravest([Outcome.KNOWN, Outcome.INCONCLUSIVE]) is Outcome.INCONCLUSIVE
    assert gravest([Outcome.PASS, Outcome.NOT_CLAIMED]) is Outcome.PASS
