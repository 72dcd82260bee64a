"""One report of the shards of one run, and what shards have to have in common."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.report import facts, lines, verdict
from ampy_conformance.report.outcomes import GRAVITY, gravest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ampy_conformance.report.lines import Line, Report

# What makes runs shards of one: path in the run line, and what a user calls it.
ALIKE = {
    ("suite", "digest"): "suite",
    ("contract", "digest"): "contract",
    ("driver", "connectable"): "driver",
    ("driver", "name"): "binding",
    ("driver", "version"): "version of the binding",
    ("driver", "files"): "files of the driver",
    ("driver", "profiles"): "claimed profiles",
    ("driver", "capabilities"): "claimed capabilities",
    ("broker", "kind"): "broker",
    ("broker", "version"): "version of the broker",
    ("broker", "provenance"): "broker",
    ("seed",): "seed",
    ("strict",): "strictness",
    ("time_scale",): "time scale",
    ("known_failures",): "known failures",
}


class UnlikeReports(UsageError):
    """The reports are no shards of one run."""


def merge(shards: Sequence[tuple[str, Report]], path: Path) -> None:
    """Write the report of a whole run from those of its parts, each with its name.

    Raises `UnlikeReports` where they are not of one suite, contract, binding, broker and seed. A case
    that several shards ran counts with its gravest outcome.
    """
    if len(shards) < 2:
        raise UsageError("a merge needs two reports at least")
    _demand_alike(shards)
    whole = [report for _, report in shards]
    cases = _cases(shards)
    clauses = _clauses(whole, cases)
    run = _run(whole, len(cases))
    complete = _complete(whole, len(cases))
    writer = lines.Writer(path)
    writer.write(**run)
    for each in cases.values():
        writer.write("start", case=each["id"])
    for number, report in enumerate(whole, 1):
        for each in report.shared.values():
            writer.write(**each | {"name": f"{number}/{each['name']}"})
        for each in (*report.trials, *report.loads, *report.others):
            writer.write(**each)
    for each in (*cases.values(), *clauses):
        writer.write(**each)
    end = verdict.end(
        clauses,
        {
            name: verdict.Profile(
                each["claimed"], each.get("claimable", True), each.get("unasked", False)
            )
            for name, each in whole[0].end["profiles"].items()
        },
        selected=not complete,
        stale=_stale(whole, clauses, complete=complete),
        strict=bool(whole[0].run.get("strict")),
        trouble="; ".join(each.end["trouble"] for each in whole if each.end["trouble"]) or None,
    )
    writer.end(**end, seconds=round(sum(each.end["seconds"] for each in whole), 3))


def _demand_alike(shards: Sequence[tuple[str, Report]]) -> None:
    first_name, first = shards[0]
    for name, report in shards[1:]:
        for path, what in ALIKE.items():
            mine, other = _at(first.run, path), _at(report.run, path)
            if mine != other:
                raise UnlikeReports(
                    f"{first_name} and {name} are no shards of one run: unlike {what} "
                    f"({_short(mine)}, {_short(other)}); a merge needs the same {what}"
                )
    for name, report in shards:
        if report.end["exit"] == UsageError.exit_code:
            raise UnlikeReports(f"{name} has no verdict ({report.end['trouble']}): run it again")


def _at(run: Line, path: Sequence[str]) -> Any:
    value: Any = run
    for each in path:
        value = value.get(each) if isinstance(value, dict) else None
    return value


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _cases(shards: Sequence[tuple[str, Report]]) -> dict[str, Line]:
    found: dict[str, Line] = {}
    for number, (_, report) in enumerate(shards, 1):
        for case in report.cases:
            each = case | ({"shared": f"{number}/{case['shared']}"} if "shared" in case else {})
            other = found.get(each["id"])
            if other is None or _gravity(each) < _gravity(other):
                found[each["id"]] = each
    return found


def _gravity(case: Line) -> int:
    return [str(each) for each in GRAVITY].index(case["outcome"])


def _clauses(reports: Sequence[Report], cases: dict[str, Line]) -> list[Line]:
    """Return the roll-up over all cases; where no case judged a clause, the gravest reason why."""
    found = []
    for name, line in reports[0].clauses.items():
        judged = [each for each in cases.values() if name in each["clauses"]]
        outcome = gravest(GRAVITY[_index(each.clauses[name]["outcome"])] for each in reports)
        if judged:
            outcome = gravest(GRAVITY[_index(each["clauses"][name])] for each in judged)
        reasons = [each.clauses[name]["reason"] for each in reports]
        found.append(
            line
            | {
                "outcome": str(outcome),
                "reason": "" if judged else next(filter(None, reasons), ""),
                "cases": [each["id"] for each in judged],
            }
        )
    return found


def _index(outcome: str) -> int:
    return [str(each) for each in GRAVITY].index(outcome)


def _run(reports: Sequence[Report], cases: int) -> Line:
    """Return the head of the whole run; what its parts were asked for stands in `merged`."""
    asked = [
        {"selection": each.run.get("selection", {}), "keyword": each.run.get("keyword"),
         "cases": len(each.cases), "digest": each.end["digest"]}
        for each in reports
    ]  # fmt: skip
    faults = {fault for each in reports for fault in each.run.get("faults", ())}
    return reports[0].run | {
        "selection": {},
        "keyword": None,
        "planned": cases,
        "faults": sorted(faults),
        "started": min((each.run["started"] for each in reports), key=dt.datetime.fromisoformat),
        "merged": asked,
    }


def _complete(reports: Sequence[Report], cases: int) -> bool:
    """Tell whether the shards are the whole suite: each one is, or they are parts that add up."""
    if not any(facts.partial(each) for each in reports):
        return True
    asked = {(each.run.get("collected"), *each.run.get("faults", ())) for each in reports}
    return len(asked) == 1 and reports[0].run.get("collected") == cases


def _stale(reports: Sequence[Report], clauses: Sequence[Line], *, complete: bool) -> list[str]:
    """Return which known failures no longer hold over all shards.

    One that met its failure in a shard holds, whatever another shard, which did not run that case,
    says; one that no shard ran matches nothing once the shards are the whole suite.
    """
    held = {each["id"] for each in clauses if each["outcome"] == "known failure"}
    told = dict.fromkeys(each for report in reports for each in report.end["stale"])
    found = [each for each in told if each.partition(":")[0] not in held or "expired" in each]
    ran = {each["id"] for each in clauses if each["cases"]}
    missed = [
        f"{each['clause']}: the known failure matches nothing in this run"
        for each in reports[0].run.get("known_failures", ())
        if each["clause"] not in ran
    ]
    return [*found, *missed] if complete else found
