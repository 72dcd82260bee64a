"""The summary that a person reads: what failed, the clause's words, how to reproduce it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from ampy_conformance.report import facts, loads, safe

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ampy_conformance.report.lines import Line, Report

COLUMNS = (
    "pass",
    "warn",
    "fail",
    "known failure",
    "error",
    "inconclusive",
    "not run",
    "not claimed",
)
TOLD = ("fail", "error", "inconclusive", "known failure", "warn", "not run")
STYLES = {
    "fail": "red",
    "error": "red",
    "inconclusive": "yellow",
    "warn": "yellow",
    "not run": "yellow",
}
# Cases that could not be judged for one and the same reason are listed this many times.
SAME_REASON = 3
MANY = 100


def show(report: Report, console: Console, path: Path | None = None) -> None:
    """Print the summary of a whole report."""
    report = safe.report(report)
    for outcome in TOLD:
        cases = [each for each in report.cases if each["outcome"] == outcome]
        if outcome == "fail":
            for each in cases:
                console.print(_failure(report, each))
        else:
            _brief(console, outcome, cases)
    if report.cases:
        console.print(_profiles(report))
        _others(report, console)
    if report.trials:
        console.print(_trials(report))
        console.print(_chances(report))
    loads.show(report.loads, console)
    style = {0: "bold green", 1: "bold red"}.get(report.end["exit"], "bold yellow")
    console.print(f"[{style}]{escape(report.end['verdict'])}[/]")
    for each in report.end["stale"]:
        console.print(f"  [yellow]{escape(each)}[/]")
    console.print(
        f"[dim]{escape(facts.binding(report))} on {escape(facts.broker(report))}; "
        f"{len(report.cases)} cases in {report.end['seconds']:.1f} s; seed {report.run['seed']}; "
        f"exit {report.end['exit']}[/]"
    )
    if path is not None:
        console.print(f"[dim]report: {escape(str(path))}[/]")
    if kept := report.end.get("history"):
        console.print(f"[dim]history: {escape(kept['file'])}, {kept['events']} events[/]")
        if kept.get("trouble"):
            console.print(f"[yellow]{escape(kept['trouble'])}[/]")


def _failure(report: Report, case: Line) -> Panel:
    clause = report.clauses[case["blames"]]
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("clause", f"{clause['id']} ({clause['level']}, section {facts.sections(clause)})")
    rows.add_row("it says", escape(clause["text"].strip()))
    rows.add_row("broken", escape(case["says"]))
    if case["expected"] is not None:
        rows.add_row("expected", escape(str(case["expected"])))
    if case["seen"] is not None:
        rows.add_row("seen", escape(str(case["seen"])))
    for each in clause["look"]:
        rows.add_row("look at", escape(each))
    rows.add_row("case", escape(case["id"]))
    rows.add_row("again", escape(facts.reproduce(report, case)))
    rows.add_row("more", escape(f"ampy-conform explain {clause['id']}"))
    return Panel(
        rows, title=f"[red]{escape(case['blames'])} failed[/]", border_style="red", expand=False
    )


def _brief(console: Console, outcome: str, cases: list[Line]) -> None:
    style = STYLES.get(outcome, "magenta")
    counts = Counter(each["says"] for each in cases)
    told: Counter[str] = Counter()
    for each in cases:
        told[each["says"]] += 1
        if told[each["says"]] > SAME_REASON:
            continue
        more = counts[each["says"]] - SAME_REASON
        tail = (
            f" [dim](and {more} more)[/]" if told[each["says"]] == SAME_REASON and more > 0 else ""
        )
        # What a check says begins with its clause; everything else is of all the case's clauses.
        clauses = "" if each["blames"] else f"{' '.join(each['clauses'])}: "
        console.print(f"[{style}]{outcome:<12}[/] {clauses}{escape(each['says'])}{tail}")


def _profiles(report: Report) -> Table:
    """Return a table of the profiles: the claimed ones, and what became of their clauses.

    Only outcomes that occur have a column, so that it fits a terminal of 80 columns.
    """
    counts = {
        name: Counter(
            each["outcome"] for each in report.clauses.values() if each["profile"] == name
        )
        for name in report.end["profiles"]
    }
    claimed = [name for name, each in report.end["profiles"].items() if each["claimed"]]
    shown = [each for each in COLUMNS if any(counts[name][each] for name in claimed)]
    table = Table(title=None, box=None, pad_edge=False, header_style="dim")
    table.add_column("profile", no_wrap=True)
    table.add_column("MUST passed", justify="right", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for name in claimed:
        profile = report.end["profiles"][name]
        cells: list[Any] = [name, f"{profile['must_passed']} of {profile['must']}"]
        table.add_row(*cells, *(_cell(each, counts[name][each]) for each in shown))
    return table


def _trials(report: Report) -> Table:
    """Return a table of the faults: how often each fired, and how long recovery took."""
    table = Table(title=None, box=None, pad_edge=False, header_style="dim")
    table.add_column("fault", no_wrap=True)
    for name in ("fired", "events", "recovered in", "took"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in report.trials:
        recovery = each["recovery_seconds"]
        table.add_row(
            each["fault"],
            str(each["fired"]),
            str(each["events"]),
            "[dim].[/]" if recovery is None else f"{recovery:.2f} s",
            f"{each['seconds']:.1f} s",
        )
    return table


def _chances(report: Report) -> Table:
    """Return the matrix of properties against faults: how often each had a chance to be broken.

    Faults are numbered in the order of the table above and `++` is a hundred and more, so that
    it fits a terminal.
    """
    table = Table(title=None, box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("chances by fault", max_width=22, no_wrap=True)
    for number, _ in enumerate(report.trials, 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    names = sorted({name for each in report.trials for name in each["chances"]})
    for name in names:
        table.add_row(name, *(_chance(each, name) for each in report.trials))
    return table


def _chance(trial: Line, name: str) -> str:
    violations, chances = trial["violations"].get(name, 0), trial["chances"].get(name, 0)
    text = "." if not chances else str(chances) if chances < MANY else "++"
    return f"[red]{text}[/]" if violations else f"[dim]{text}[/]" if not chances else text


def _cell(outcome: str, count: int) -> str:
    if not count:
        return "[dim].[/]"
    style = STYLES.get(outcome)
    return f"[{style}]{count}[/]" if style else str(count)


def _others(report: Report, console: Console) -> None:
    counts = report.end["counts"]
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    console.print(f"[dim]all {len(report.clauses)} clauses: {told}[/]")
