"""From cases to the clauses of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.report.outcomes import Outcome, gravest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.registry import Clause

RECORDS_ONLY = "`ampy-conform validate` looks at it in records; no case asks a binding for it"
WHY_UNJUDGED = {
    "attested": Outcome.ATTESTED,
    "project": Outcome.ATTESTED,
}


@dataclass(frozen=True)
class ClauseResult:
    """The outcome of one clause over all its cases, and why where no case says it."""

    clause: Clause
    outcome: Outcome
    reason: str
    cases: tuple[str, ...]

    def line(self) -> dict[str, Any]:
        """Return the fields of the report line."""
        return {
            "id": self.clause.id,
            "level": self.clause.level,
            "profile": self.clause.profile,
            "section": list(self.clause.section),
            "text": self.clause.text,
            "look": list(self.clause.look),
            "outcome": self.outcome,
            "reason": self.reason,
            "cases": list(self.cases),
        }


def clauses(
    contract: Contract,
    claimed: Collection[str],
    judged: Mapping[str, Sequence[tuple[str, Outcome]]],
    known_cases: Collection[str],
    unasked: Collection[str] = (),
) -> list[ClauseResult]:
    """Return a result for every clause of the contract.

    `judged` maps a clause to its (case id, outcome); `known_cases` are the clauses that
    have a test in the suite, selected or not; `unasked` are profiles that are judged on request,
    are claimed, and were not asked for.
    """
    found = []
    for each in contract.clauses.values():
        rows = judged.get(each.id, ())
        if rows:
            outcome, reason = gravest(outcome for _, outcome in rows), ""
        elif each.verified in WHY_UNJUDGED:
            outcome, reason = WHY_UNJUDGED[each.verified], each.reason or ""
        elif each.profile in unasked:
            outcome, reason = Outcome.NOT_SELECTED, f"ask for it: --profile {each.profile}"
        elif each.profile not in claimed:
            outcome, reason = Outcome.NOT_CLAIMED, f"the binding does not claim {each.profile}"
        elif each.id in known_cases or each.verified == "suite":
            outcome, reason = Outcome.NOT_SELECTED, ""
        else:
            untested = (
                RECORDS_ONLY if each.verified == "validate" else "the suite has no test for it"
            )
            outcome, reason = Outcome.NOT_VERIFIED, each.reason or untested
        found.append(ClauseResult(each, outcome, reason, tuple(case for case, _ in rows)))
    return found
