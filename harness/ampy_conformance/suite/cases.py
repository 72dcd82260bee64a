"""From what a test raised to the outcome of each of its clauses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import ConformError
from ampy_conformance.driver import DriverDied, DriverError, DriverRefused
from ampy_conformance.report.outcomes import MUST, Outcome, gravest
from ampy_conformance.suite.verdicts import ClauseFailed, Inconclusive, NotClaimed, NotRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ampy_conformance.contract.registry import Clause
    from ampy_conformance.suite.lab import Lab

EXCERPT = 400
ENDS = {
    Inconclusive: Outcome.INCONCLUSIVE,
    NotClaimed: Outcome.NOT_CLAIMED,
    NotRun: Outcome.NOT_RUN,
}


@dataclass
class Case:
    """The outcome of one test: per clause, and what it says."""

    clauses: dict[str, Outcome]
    says: str = ""
    expected: Any = None
    seen: Any = None
    blames: str | None = None
    died_under_test: bool = False
    driver_trouble: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """The gravest outcome of its clauses."""
        return gravest(self.clauses.values())


def judge(
    clauses: Sequence[Clause], lab: Lab | None, error: BaseException | None, *, died_before: bool
) -> Case:
    """Turn the end of a test into outcomes.

    `died_before` tells that an earlier attempt of the same test ended by the death of the
    driver after its control had passed: a second death is proof, one alone is not.
    """
    if error is None:
        return _passed(clauses, lab)
    if isinstance(error, ClauseFailed):
        return _failed(clauses, error)
    controlled = lab is not None and lab.controlled
    trouble = isinstance(error, DriverError)
    if isinstance(error, DriverRefused):
        return _refused(clauses, error)
    if isinstance(error, DriverDied) and controlled:
        if died_before:
            says = f"the driver died on the tested record, twice: {error}"
            return _failed(clauses, ClauseFailed(clauses[0].id, says))
        return Case(_all(clauses, Outcome.ERROR), _one_line(error), died_under_test=True)
    outcome = next((out for kind, out in ENDS.items() if isinstance(error, kind)), Outcome.ERROR)
    return Case(_all(clauses, outcome), _one_line(error), driver_trouble=trouble)


def _passed(clauses: Sequence[Clause], lab: Lab | None) -> Case:
    checked: Mapping[str, bool] = lab.checked if lab else {}
    done = {each.id: Outcome.PASS for each in clauses if each.id in checked}
    if lab:
        done.update({each: Outcome.WARN for each in lab.warned if each in done})
    unjudged = [each.id for each in clauses if each.id not in done]
    if unjudged:
        says = f"the test ended without having judged {', '.join(unjudged)}: a fault of the suite"
        return Case(_all(clauses, Outcome.ERROR), says)
    says = "; ".join(f"{clause}: {text}" for clause, text in lab.warned.items()) if lab else ""
    return Case(done, says, notes=list(lab.observations) if lab else [])


def _failed(clauses: Sequence[Clause], failure: ClauseFailed) -> Case:
    level = next((each.level for each in clauses if each.id == failure.clause), None)
    if level is None:
        says = f"the test judged {failure.clause}, which its marker does not name"
        return Case(_all(clauses, Outcome.ERROR), says)
    outcomes = _all(clauses, Outcome.INCONCLUSIVE)
    outcomes[failure.clause] = Outcome.FAIL if level in MUST else Outcome.WARN
    return Case(outcomes, str(failure), failure.expected, failure.seen, blames=failure.clause)


def _refused(clauses: Sequence[Clause], refusal: DriverRefused) -> Case:
    if refusal.code == "unsupported":
        says = f"the binding claims the profile and answers unsupported to {refusal.op}"
        return _failed(clauses, ClauseFailed(clauses[0].id, says))
    says = f"control: the binding refused {refusal.op}: {_one_line(refusal)}"
    return Case(_all(clauses, Outcome.INCONCLUSIVE), says)


def _all(clauses: Sequence[Clause], outcome: Outcome) -> dict[str, Outcome]:
    """Give every clause the same outcome: one that was judged before the end may have had more to come."""
    return {each.id: outcome for each in clauses}


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:EXCERPT]
    if isinstance(error, ConformError | Inconclusive | NotClaimed | NotRun):
        return text
    return f"{type(error).__name__}: {text}"
