"""What every rendering says of a report, worked out once."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ampy_conformance.report.outcomes import GRAVITY, MUST, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ampy_conformance.report.lines import Line, Report

# Every outcome there is, the gravest first: what did not occur is shown as 0, not left out.
OUTCOMES = tuple(str(each) for each in GRAVITY)
# A case with one of these has something to tell.
TOLD = ("fail", "error", "known failure", "inconclusive", "not run", "warn")
# By one word, what a verdict comes to: the exit codes of docs/verdicts.md.
WORDS = {
    0: "conformant",
    1: "not conformant",
    2: "no verdict: usage",
    3: "no verdict: harness",
    4: "nothing ran",
    5: "known failures stale",
    6: "inconclusive",
}


def binding(report: Report) -> str:
    """Return what was judged, e.g. `ampy-bus-go v1.2.0`."""
    who = report.run["driver"]
    return f"{who.get('name') or who['connectable']} {who.get('version', '')}".strip()


def broker(report: Report) -> str:
    """Return what it was judged on, e.g. `nats 2.15.1 (embedded)`."""
    facts = report.run["broker"]
    if not facts:
        return "no broker"
    where = f" ({facts['provenance']})" if facts.get("provenance") else ""
    return f"{facts.get('kind', 'a broker')} {facts.get('version', '')}".strip() + where


def word(report: Report) -> str:
    """Return the verdict in a word or two; a run of selected cases is never called conformant."""
    if report.end["exit"] == 0 and partial(report):
        return "selection passed"
    if report.end["exit"] == 0 and put_up_with(report):
        return "conformant but for known failures"
    return WORDS[report.end["exit"]]


def partial(report: Report) -> bool:
    """Tell whether only a part of the suite was asked for; a load judges no clause of the contract."""
    if not report.clauses:
        return True
    asked = bool(report.run.get("selection") or report.run.get("keyword"))
    return asked or bool(report.end.get("partial"))


def put_up_with(report: Report) -> bool:
    """Tell whether a clause fails in a way that an entry of the known failures names."""
    return any(each["outcome"] == Outcome.KNOWN for each in report.clauses.values())


def counts(clauses: Iterable[Line]) -> dict[str, int]:
    """Return how many clauses had each outcome, all outcomes named, the gravest first."""
    found = Counter(each["outcome"] for each in clauses)
    return {name: found[name] for name in OUTCOMES}


def must(report: Report) -> tuple[int, int, int]:
    """Return how many MUST of the claimed profiles passed, were judged, and there are."""
    mine = [each for each in report.end["profiles"].values() if each["claimed"]]
    return (
        sum(each["must_passed"] for each in mine),
        sum(each["must_judged"] for each in mine),
        sum(each["must"] for each in mine),
    )


def cases_by_outcome(report: Report) -> dict[str, list[Line]]:
    """Return the cases that have something to tell, by outcome, the gravest first."""
    found: dict[str, list[Line]] = {name: [] for name in TOLD}
    for each in report.cases:
        found.setdefault(each["outcome"], []).append(each)
    return {name: found[name] for name in TOLD if found[name]}


def by_reason(cases: Iterable[Line]) -> list[tuple[str, list[Line]]]:
    """Return cases grouped by what they say, in the order in which that was first said."""
    found: dict[str, list[Line]] = defaultdict(list)
    for each in cases:
        found[each["says"]].append(each)
    return list(found.items())


def failed_clauses(report: Report) -> list[tuple[Line, list[Line]]]:
    """Return every clause that was proven broken, with the cases that prove it."""
    proofs: dict[str, list[Line]] = defaultdict(list)
    for each in report.cases:
        if each["outcome"] == "fail" and each["blames"]:
            proofs[each["blames"]].append(each)
    return [(report.clauses[name], cases) for name, cases in proofs.items()]


def said(case: Line) -> str:
    """Return what a case says, without the id of the clause that it blames."""
    return str(case["says"]).removeprefix(f"{case['blames']}: ")


def sections(clause: Line) -> str:
    """Return the sections of the contract that a clause comes from."""
    return ", ".join(str(each) for each in clause["section"])


def is_must(clause: Line) -> bool:
    """Tell whether a conformant binding has to keep a clause."""
    return clause["level"] in MUST


def reproduce(report: Report, case: Line) -> str:
    """Return the command line that runs this case again with the same seed."""
    name = case["id"].rpartition("::")[2]
    words = ["ampy-conform", "certify", report.run["driver"]["connectable"]]
    words += ["--clause", case["blames"] or next(iter(case["clauses"]))]
    words += ["--case", name.partition("[")[0], "--seed", str(report.run["seed"])]
    if case.get("fault"):
        words += ["--faults", case["fault"]]
    return shlex.join(words)


def run_again(report: Report) -> str:
    """Return the command line that repeats the whole run."""
    run = report.run
    words = ["ampy-conform", "certify", run["driver"]["connectable"], "--seed", str(run["seed"])]
    for what, wanted in run.get("selection", {}).items():
        words += [part for each in wanted for part in (f"--{what}", each)]
    if run.get("keyword"):
        words += ["--case", run["keyword"]]
    for each in run.get("faults") or [each["fault"] for each in report.trials]:
        words += ["--faults", each]
    if run.get("time_scale", 1) != 1:
        words += ["--time-scale", str(run["time_scale"])]
    words += ["--strict"] if run.get("strict") else []
    return shlex.join(words)


def unjudged(report: Report) -> dict[str, list[Line]]:
    """Return the clauses that no case judged, by why: not claimed, attested, and so on."""
    names = [
        Outcome.NOT_CLAIMED,
        Outcome.NOT_SELECTED,
        Outcome.NOT_VERIFIED,
        Outcome.ATTESTED,
    ]
    found = {
        str(name): [each for each in report.clauses.values() if each["outcome"] == name]
        for name in names
    }
    return {name: each for name, each in found.items() if each}
