"""From cases to clauses, profiles and the verdict of the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.report.outcomes import MUST, Exit, Outcome, exit_code, gravest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.registry import Clause

RAN = (Outcome.PASS, Outcome.WARN, Outcome.FAIL, Outcome.KNOWN, Outcome.INCONCLUSIVE, Outcome.ERROR)
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
        elif each.id in known_cases:
            outcome, reason = Outcome.NOT_SELECTED, ""
        else:
            outcome, reason = (
                Outcome.NOT_VERIFIED,
                each.reason or "the suite has no test for it yet",
            )
        found.append(ClauseResult(each, outcome, reason, tuple(case for case, _ in rows)))
    return found


def end(
    contract: Contract,
    claimed: Collection[str],
    results: Sequence[ClauseResult],
    *,
    selected: bool,
    unasked: Collection[str] = (),
    stale: Sequence[str],
    strict: bool,
    trouble: str | None,
    misused: bool = False,
) -> dict[str, Any]:
    """Return the fields of the last line: verdict, exit code, counts, profiles.

    `trouble` is what broke the run, `misused` says that the user's request was the cause.
    """
    ran = sum(len(each.cases) for each in results if each.outcome in RAN)
    code = exit_code(
        ((each.clause.level, each.outcome) for each in results),
        ran=ran,
        stale=len(stale),
        strict=strict,
        broken=trouble is not None,
    )
    code = Exit.USAGE if misused else code
    profiles = {name: _profile(name, results, claimed) for name in contract.profiles}
    return {
        "verdict": _verdict(
            code, contract, claimed, selected=selected, unasked=unasked, trouble=trouble
        ),
        "exit": int(code),
        "counts": dict(Counter(str(each.outcome) for each in results)),
        "profiles": profiles,
        "stale": list(stale),
        "trouble": trouble,
    }


def _profile(
    name: str, results: Sequence[ClauseResult], claimed: Collection[str]
) -> dict[str, Any]:
    mine = [each for each in results if each.clause.profile == name]
    must = [each for each in mine if each.clause.level in MUST]
    return {
        "claimed": name in claimed,
        "clauses": len(mine),
        "must": len(must),
        "must_passed": sum(each.outcome in (Outcome.PASS, Outcome.WARN) for each in must),
        "must_judged": sum(each.outcome in RAN for each in must),
        "failed": sorted(each.clause.id for each in mine if each.outcome is Outcome.FAIL),
    }


def _verdict(
    code: Exit,
    contract: Contract,
    claimed: Collection[str],
    *,
    selected: bool,
    unasked: Collection[str],
    trouble: str | None,
) -> str:
    mine = [name for name in contract.profiles if name in claimed]
    others = [
        name
        for name, each in contract.profiles.items()
        if name not in claimed and name not in unasked and each.claimable
    ]
    scope = f"{', '.join(mine)}; not claimed: {', '.join(others) or 'none'}"
    if unasked:
        scope += f"; claimed, and not asked for: {', '.join(sorted(unasked))}"
    if code is Exit.CONFORMANT:
        return "what was selected passed" if selected else f"conformant: {scope}"
    words = {
        Exit.NOT_CONFORMANT: f"not conformant: {scope}",
        Exit.USAGE: f"no verdict: {trouble}",
        Exit.HARNESS: f"no verdict: {trouble or 'the harness, the broker or the driver failed'}",
        Exit.NOTHING: "no verdict: nothing ran",
        Exit.STALE: "no verdict: known failures are stale",
        Exit.INCONCLUSIVE: "inconclusive: not every MUST of the claimed profiles could be judged",
    }
    return words[code]
