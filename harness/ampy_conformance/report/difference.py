"""What changed between two reports, clause by clause, and of what kind each change is."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.report import facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.report.lines import Line, Report

# Each kind of change, the gravest first, and what it means.
KINDS = {
    "regressed": "held before, is proven broken now",
    "newly failing": "could not be judged before, is proven broken now",
    "failing otherwise": "is broken as before, but says something else",
    "withdrawn": "a profile or capability was claimed before and is no more",
    "newly skipped": "was judged before and is not now",
    "weakened": "passed before, gives a warning now",
    "excused": "is broken as before, and is a known failure now",
    "clause removed": "the contract no longer has it",
    "clause changed": "its words, level, profile or section changed",
    "clause added": "the contract did not have it",
    "contract changed": "the reports were made with unlike contracts",
    "suite changed": "the reports were made with unlike suites",
    "setting changed": "another binding, broker, or way of running",
    "newly claimed": "a profile or capability is claimed now",
    "newly covered": "could not be judged before, holds now",
    "strengthened": "gave a warning before, passes now",
    "fixed": "was broken before, holds now",
}
DEFAULT = ("regressed", "newly failing", "withdrawn")
HOLDS = ("pass", "warn")
BROKEN = ("fail", "known failure")


@dataclass(frozen=True)
class Change:
    """One change: of what kind, of which clause (or profile, or fact), from what to what."""

    kind: str
    subject: str
    old: str
    new: str
    says: str = ""


@dataclass(frozen=True)
class Difference:
    """All changes from one report to another, the gravest kind first."""

    old: str
    new: str
    changes: tuple[Change, ...]
    still_failing: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Return how many changes there are of each kind that occurs."""
        found = Counter(each.kind for each in self.changes)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def row(self) -> dict[str, Any]:
        """Return the difference as JSON data (`schemas/output/report-diff.json`)."""
        return {
            "old": self.old,
            "new": self.new,
            "counts": self.counts(),
            "changes": [asdict(each) for each in self.changes],
            "still_failing": list(self.still_failing),
        }


def compare(old: Report, new: Report) -> Difference:
    """Return what changed from `old` to `new`."""
    found = [*_settings(old, new), *_claims(old, new), *_clauses(old, new)]
    order = list(KINDS)
    return Difference(
        f"{facts.binding(old)} on {facts.broker(old)}, {old.run['started']}",
        f"{facts.binding(new)} on {facts.broker(new)}, {new.run['started']}",
        tuple(sorted(found, key=lambda each: order.index(each.kind))),
        tuple(
            name
            for name, each in new.clauses.items()
            if each["outcome"] == "fail" and _outcome(old, name) == "fail"
        ),
    )


def _settings(old: Report, new: Report) -> Iterator[Change]:
    for what in ("contract", "suite"):
        was, now = old.run[what], new.run[what]
        if was["digest"] != now["digest"]:
            words = [f"{each['version']} {each['digest'][:19]}" for each in (was, now)]
            yield Change(f"{what} changed", what, *words)
    pairs = {
        "binding": (facts.binding(old), facts.binding(new)),
        "broker": (facts.broker(old), facts.broker(new)),
        "selection": (_asked(old), _asked(new)),
    }
    for name, (before, after) in pairs.items():
        if before != after:
            yield Change("setting changed", name, before, after)


def _asked(report: Report) -> str:
    run = report.run
    parts = [f"{what} {' '.join(each)}" for what, each in run.get("selection", {}).items()]
    parts += [f"case {run['keyword']}"] if run.get("keyword") else []
    struck = run.get("faults", sorted({each["fault"] for each in report.trials}))
    parts += [f"faults {' '.join(struck)}"] if struck else []
    return ", ".join(parts) or "everything, without faults"


def _claims(old: Report, new: Report) -> Iterator[Change]:
    for what, was, now in (
        ("profile", _profiles(old), _profiles(new)),
        ("capability", _capabilities(old), _capabilities(new)),
    ):
        for name in sorted(was - now):
            yield Change("withdrawn", f"{what} {name}", "claimed", "not claimed")
        for name in sorted(now - was):
            yield Change("newly claimed", f"{what} {name}", "not claimed", "claimed")


def _profiles(report: Report) -> set[str]:
    return {name for name, each in report.end["profiles"].items() if each["claimed"]}


def _capabilities(report: Report) -> set[str]:
    return {str(each) for each in report.run["driver"].get("capabilities", ())}


def _clauses(old: Report, new: Report) -> Iterator[Change]:
    for name in [*old.clauses, *(each for each in new.clauses if each not in old.clauses)]:
        was, now = old.clauses.get(name), new.clauses.get(name)
        before, after = _outcome(old, name), _outcome(new, name)
        if was is None or now is None:
            yield Change("clause added" if was is None else "clause removed", name, before, after)
        elif changed := _rewritten(was, now):
            yield Change("clause changed", name, changed, changed)
        kind = _kind(before, after)
        if kind is None and before == after == "fail" and _said(old, name) != _said(new, name):
            kind = "failing otherwise"
        if kind is not None:
            earlier = _said(old, name)
            says = _said(new, name) or (f"before: {earlier}" if earlier else "")
            yield Change(kind, name, before, after, says)


def _outcome(report: Report, name: str) -> str:
    line = report.clauses.get(name)
    return str(line["outcome"]) if line else "absent"


def _rewritten(was: Line, now: Line) -> str:
    changed = [each for each in ("level", "profile", "section", "text") if was[each] != now[each]]
    return ", ".join(changed)


def _kind(before: str, after: str) -> str | None:
    """Return the kind of a change of outcome; None where nothing that matters changed."""
    if before == after:
        return None
    if after in BROKEN:
        if before in BROKEN:
            return "excused" if after == "known failure" else "regressed"
        return "regressed" if before in HOLDS else "newly failing"
    if after in HOLDS:
        if before in HOLDS:
            return "weakened" if after == "warn" else "strengthened"
        return "fixed" if before in BROKEN else "newly covered"
    return "newly skipped" if before in (*HOLDS, *BROKEN) else None


def _said(report: Report, name: str) -> str:
    """Return what is said of a clause by the first case whose outcome is the clause's."""
    outcome = _outcome(report, name)
    for case in report.cases:
        if case["clauses"].get(name) == outcome and case["says"]:
            return str(case["says"])
    return str(report.clauses[name]["reason"]) if name in report.clauses else ""
