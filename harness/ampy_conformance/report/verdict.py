"""From the clauses of a run to its last line: verdict, exit code, counts, profiles."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.report.outcomes import MUST, Exit, Outcome, exit_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ampy_conformance.report.lines import Line

RAN = (Outcome.PASS, Outcome.WARN, Outcome.FAIL, Outcome.KNOWN, Outcome.INCONCLUSIVE, Outcome.ERROR)


@dataclass(frozen=True)
class Profile:
    """Whether the binding claims a profile, and whether any binding can.

    `unasked`: it claims it, it is judged on request only, and was not asked for; then it does not count
    among the claimed ones.
    """

    claimed: bool
    claimable: bool = True
    unasked: bool = False


def end(
    clauses: Sequence[Line],
    profiles: Mapping[str, Profile],
    *,
    selected: bool,
    stale: Sequence[str],
    strict: bool,
    trouble: str | None,
    misused: bool = False,
) -> dict[str, Any]:
    """Return the fields of the last line for the clause lines of a run.

    `selected` says that something was left out, `trouble` is what broke the run, `misused` says
    that the user's request was the cause.
    """
    code = exit_code(
        ((each["level"], each["outcome"]) for each in clauses),
        ran=sum(len(each["cases"]) for each in clauses if each["outcome"] in RAN),
        stale=len(stale),
        strict=strict,
        broken=trouble is not None,
    )
    code = Exit.USAGE if misused else code
    return {
        "verdict": _verdict(code, clauses, profiles, selected=selected, trouble=trouble),
        "exit": int(code),
        "counts": dict(Counter(str(each["outcome"]) for each in clauses)),
        "profiles": {name: _profile(name, clauses, each) for name, each in profiles.items()},
        "partial": selected,
        "stale": list(stale),
        "trouble": trouble,
    }


def _profile(name: str, clauses: Sequence[Line], profile: Profile) -> dict[str, Any]:
    mine = [each for each in clauses if each["profile"] == name]
    must = [each for each in mine if each["level"] in MUST]
    return {
        "claimed": profile.claimed,
        "claimable": profile.claimable,
        "unasked": profile.unasked,
        "clauses": len(mine),
        "must": len(must),
        "must_passed": sum(each["outcome"] in (Outcome.PASS, Outcome.WARN) for each in must),
        "must_judged": sum(each["outcome"] in RAN for each in must),
        "failed": sorted(each["id"] for each in mine if each["outcome"] == Outcome.FAIL),
    }


def _left_out(clause: Line, claimed: Sequence[str]) -> bool:
    """Tell whether a MUST of a claimed profile was not asked for: faults are, with `--faults`."""
    mine = clause["profile"] in claimed and clause["level"] in MUST
    return mine and clause["outcome"] == Outcome.NOT_SELECTED


def _verdict(
    code: Exit,
    clauses: Sequence[Line],
    profiles: Mapping[str, Profile],
    *,
    selected: bool,
    trouble: str | None,
) -> str:
    mine = [name for name, each in profiles.items() if each.claimed]
    unasked = [name for name, each in profiles.items() if each.unasked]
    others = [
        name
        for name, each in profiles.items()
        if not each.claimed and each.claimable and not each.unasked
    ]
    scope = f"{', '.join(mine)}; not claimed: {', '.join(others) or 'none'}"
    if unasked:
        scope += f"; claimed, and not asked for: {', '.join(unasked)}"
    if not selected and (left := [e["id"] for e in clauses if _left_out(e, mine)]):
        scope += f"; not asked for: {', '.join(left)}"
    if code is Exit.CONFORMANT:
        known = [each["id"] for each in clauses if each["outcome"] == Outcome.KNOWN]
        but = f" but for known failures ({', '.join(known)})" if known else ""
        return f"what was selected passed{but}" if selected else f"conformant{but}: {scope}"
    every = "every MUST of the claimed profiles"
    words = {
        Exit.NOT_CONFORMANT: f"not conformant: {scope}",
        Exit.USAGE: f"no verdict: {trouble}",
        Exit.HARNESS: f"no verdict: {trouble or 'the harness, the broker or the driver failed'}",
        Exit.NOTHING: "no verdict: nothing ran",
        Exit.STALE: "no verdict: known failures are stale",
        Exit.INCONCLUSIVE: f"inconclusive: not {'all of what was selected' if selected else every} could be judged",
    }
    return words[code]
