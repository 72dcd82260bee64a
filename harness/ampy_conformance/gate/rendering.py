"""A comparison as text, Markdown and SARIF."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ampy_conformance.gate.rules import AUDIENCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ampy_conformance.gate.comparison import Judged, Result

COLOURS = {
    "breaking": "bright_red",
    "unjudged": "yellow",
    "additive": "cyan",
    "editorial": "dim",
}
LEVELS = {"breaking": "error", "unjudged": "warning", "additive": "note", "editorial": "note"}
# Facts whose values are digests of whole files.
DIGESTS = ("golden", "vectors", "properties", "proto", "files")
LONGEST = 160
FEW = 8


def short(value: Any, longest: int = LONGEST) -> str:
    """Return a value as one bounded, printable line."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(each if each.isprintable() else " " for each in text)
    return text if len(text) <= longest else f"{text[:longest]}..."


def what(each: Judged) -> str:
    """Return what happened to a fact, in a few words."""
    change = each.change
    if change.note:
        return f"{change.kind}: {short(change.note, 300)}"
    if change.kind in ("changed", "reworded") and change.place[0] not in DIGESTS:
        return f"{short(change.before)} -> {short(change.after)}"
    return change.kind


def few(names: Sequence[str], shown: int = FEW) -> str:
    """Return some names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}" if names else "none"


def _names(result: Result) -> list[str]:
    """Return both sides by name, and version where they have one."""
    sides = (result.old.name, result.new.name)
    if result.payloads_alone:
        return list(sides)
    return [f"{name} ({number})" for name, number in zip(sides, result.versions, strict=True)]


# -- text -----------------------------------------------------------------------------------


def plain(result: Result) -> str:
    """Return the text without colours, for a file."""
    stream = io.StringIO()
    text(result, Console(file=stream, width=120, no_color=True))
    return stream.getvalue().rstrip()


def text(result: Result, console: Console) -> None:
    """Print the comparison: every change, what it touches, what shows it, and the verdict."""
    old, new = _names(result)
    console.print(f"[bold]{escape(old)}[/] -> [bold]{escape(new)}[/]", highlight=False)
    for each in result.changes:
        _change(each, console)
    for wrong in result.contradictions:
        console.print(f"[bright_red]contradicted[/] {', '.join(wrong.rules)}", highlight=False)
        console.print(
            f"    {wrong.refusal.audience} break: {escape(wrong.refusal.record)}: "
            f"{wrong.refusal.clause}: {escape(short(wrong.refusal.message))}",
            highlight=False,
        )
    if result.changes:
        _touched(result, console)
    style = (
        "bright_red" if result.exit_code in (1, 3) else "yellow" if result.exit_code else "green"
    )
    console.print(f"[{style}]{result.verdict}[/]: {escape(result.sentence)}", highlight=False)


def _change(each: Judged, console: Console) -> None:
    if each.gravest == "editorial":
        says = f"{each.change.where}  editorial ({each.rule.id}): {what(each)}"
        console.print(f"[dim]{escape(short(says, 110))}[/]", highlight=False)
        return
    grades = ", ".join(
        f"{audience} [{COLOURS[each.grade(audience)]}]{each.grade(audience)}[/]"
        for audience in AUDIENCES
    )
    console.print(f"\n[bold]{escape(each.change.where)}[/]  {grades}", highlight=False)
    console.print(f"    {escape(what(each))}", highlight=False)
    console.print(f"    [dim]{each.rule.id}: {escape(each.rule.says)}[/]", highlight=False)
    for refusal in each.shown[:1]:
        console.print(
            f"    shown by {escape(refusal.record)}: {refusal.clause}: "
            f"{escape(short(refusal.message))}",
            highlight=False,
        )


def _touched(result: Result, console: Console) -> None:
    ids = list(dict.fromkeys(c for each in result.changes for c in each.clauses))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("clauses", escape(few(ids, 20)))
    rows.add_row("tests", escape(few(result.tests)))
    for kind, names in result.envelopes.items():
        if names:
            rows.add_row(f"golden {kind}", escape(few(names)))
    for name, said in result.reports.items():
        outcomes = [f"{clause} {outcome}" for clause, outcome in said.items()]
        rows.add_row("to be run again", escape(f"{name}: {few(outcomes)}"))
    if result.evidence:
        rows.add_row(
            "tried",
            f"{result.evidence.records} records: the old contract accepts "
            f"{result.evidence.accepted['old']}, the new one {result.evidence.accepted['new']}",
        )
        for side, reason in result.evidence.unmade.items():
            if reason:
                says = f"the {side} contract makes no golden envelopes: {short(reason)}"
                rows.add_row("samples", escape(says))
        for side, names in result.evidence.self_refused.items():
            if names:
                says = f"{few(names)}: refused by the {side} contract itself; bring the samples up to date"
                rows.add_row("samples", escape(says))
    console.print()
    console.print(rows)


# -- Markdown -------------------------------------------------------------------------------


def markdown(result: Result) -> str:
    """Return the comparison as a comment on a pull request."""
    old, new = _names(result)
    sign = {0: "passed", 1: "failed", 3: "broken"}.get(result.exit_code, "undecided")
    parts = [
        f"## Contract gate: {sign}",
        f"**{_cell(result.sentence)}**",
        f"{_code(old)} → {_code(new)}",
    ]
    if result.changes:
        rows = ["| change | producers | consumers | rule | clauses |", "|---|---|---|---|---|"]
        rows += [
            f"| {_code(each.change.where)}: {_cell(what(each))} | {each.rule.producers} "
            f"| {each.rule.consumers} | {each.rule.id}: {_cell(each.rule.says)} "
            f"| {few(each.clauses, 6)} |"
            for each in result.changes
        ]
        parts.append("\n".join(rows))
    shown = [
        f"- {_code(each.change.where)}: {_cell(one.record)}: {one.clause}: {_cell(one.message)}"
        for each in result.changes
        for one in each.shown[:1]
    ]
    if shown:
        parts += ["### Shown by records", "\n".join(shown)]
    if result.contradictions:
        lines = [
            f"- {', '.join(each.rules)}: {_cell(each.refusal.record)}: {each.refusal.clause}: "
            f"{_cell(each.refusal.message)}"
            for each in result.contradictions
        ]
        parts += ["### Rules that records contradict", "\n".join(lines)]
    if result.changes:
        parts += ["### Touched", _touched_markdown(result)]
    return "\n\n".join(parts)


def _touched_markdown(result: Result) -> str:
    lines = [f"- tests: {few([_code(each) for each in result.tests])}"]
    lines += [
        f"- golden envelopes {kind}: {few([_code(each) for each in names])}"
        for kind, names in result.envelopes.items()
        if names
    ]
    lines += [
        f"- to be run again: {_code(name)} ({few([f'{c} {o}' for c, o in said.items()])})"
        for name, said in result.reports.items()
    ]
    return "\n".join(lines)


def _cell(value: str) -> str:
    """Return text that neither ends a cell nor begins markup."""
    text = short(value, 300).replace("\\", "\\\\")
    for each in "|<>*_`[]":
        text = text.replace(each, f"\\{each}")
    return text.replace("\\<", "&lt;").replace("\\>", "&gt;")


def _code(value: str) -> str:
    text = short(value, 300).replace("`", "'").replace("|", "\\|")
    return f"`{text}`"
