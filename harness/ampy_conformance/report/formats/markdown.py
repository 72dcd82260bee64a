"""A summary for a pull request or a job's page, in GitHub's Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.report import facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ampy_conformance.report.lines import Line, Report

WHAT = "summary for a pull request (GitHub's Markdown)"
SUFFIX = ".md"
MARKS = {0: "✅", 1: "❌", 6: "⚠️"}
# GitHub takes comments of 65,536 characters; what would not fit is counted instead.
FAILURES = 40
REASONS = 25
SAID = 500


def render(report: Report) -> str:
    """Return the summary: verdict, denominators, profiles, what failed, what could not be judged."""
    return "\n".join(
        [*_head(report), *_profiles(report), *_failures(report), *_open(report), *_tail(report)]
    )


def plain(value: object, limit: int = SAID) -> str:
    """Return text that Markdown shows as it is: no markup, no link, no mention, one line."""
    text = " ".join(str(value).split())
    if len(text) > limit:
        text = f"{text[:limit]}..."
    shown = "".join(_plain(each) for each in text)
    return shown.replace("://", ":&#8203;//").replace("www.", "www&#8203;.")


def code(value: object, limit: int = SAID) -> str:
    """Return text as code, on one line, whatever is in it."""
    return f"<code>{plain(value, limit)}</code>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table; cells are Markdown already."""
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(' --- ' for _ in head)}|"]
    return [*lines, *(f"| {' | '.join(each)} |" for each in rows)]


def _plain(letter: str) -> str:
    if letter in "@#":
        return f"&#{ord(letter)};<!-- -->"  # what a binding said calls nobody, and no issue
    if letter.isascii() and not letter.isalnum() and letter not in " .,;:/'()-":
        return f"&#{ord(letter)};"
    return letter


def _head(report: Report) -> list[str]:
    passed, judged, every = facts.must(report)
    counts = facts.counts(report.clauses.values())
    lines = [
        (
            f"## {MARKS.get(report.end['exit'], '⛔')} {plain(facts.binding(report))} on "
            f"{plain(facts.broker(report))}: {facts.word(report)}"
        ),
        "",
        plain(report.end["verdict"], 2000),
        "",
        (
            f"**{passed} of {every}** MUST of the claimed profiles passed, {judged} were judged. "
            f"Of {len(report.clauses)} clauses of {plain(report.run['contract']['name'])} "
            f"{plain(report.run['contract']['version'])}:"
        ),
        "",
        *table(list(counts), [[f"**{each}**" if each else "0" for each in counts.values()]]),
        "",
    ]
    if report.end["trouble"]:
        lines += [f"> **The run broke:** {code(report.end['trouble'])}", ""]
    for each in report.end["stale"]:
        lines += [f"> **Known failure:** {plain(each)}", ""]
    return lines


def _profiles(report: Report) -> list[str]:
    rows = []
    for name, each in report.end["profiles"].items():
        mine = [line for line in report.clauses.values() if line["profile"] == name]
        counts = facts.counts(mine)
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        passed = f"{each['must_passed']} of {each['must']}" if each["claimed"] else "not claimed"
        rows.append([plain(name), passed, plain(told)])
    return ["### Profiles", "", *table(["profile", "MUST passed", "clauses"], rows), ""]


def _failures(report: Report) -> list[str]:
    found = facts.failed_clauses(report)
    if not found:
        return []
    lines = ["### Failed", ""]
    for clause, cases in found[:FAILURES]:
        first = cases[0]
        more = f" (and {len(cases) - 1} more)" if len(cases) > 1 else ""
        lines += [
            "<details>",
            f"<summary><b>{plain(clause['id'])}</b> {clause['level']}: {plain(facts.said(first))}{more}</summary>",
            "",
            f"- section {plain(facts.sections(clause))}: {plain(clause['text'])}",
        ]
        if first["expected"] is not None:
            lines.append(f"- expected {code(first['expected'])}")
        if first["seen"] is not None:
            lines.append(f"- seen {code(first['seen'])}")
        lines += [f"- look at: {plain(each)}" for each in clause["look"]]
        lines += [f"- again: {code(facts.reproduce(report, first))}", "", "</details>", ""]
    if len(found) > FAILURES:
        lines += [
            f"... and {len(found) - FAILURES} more clauses failed; the report has them all.",
            "",
        ]
    return lines


def _open(report: Report) -> list[str]:
    lines: list[str] = []
    for outcome, cases in facts.cases_by_outcome(report).items():
        if outcome == "fail":
            continue
        groups = facts.by_reason(cases)
        lines += [f"### {outcome.capitalize()} ({len(cases)} cases)", ""]
        lines += [
            f"- {_names(group)}: {plain(says)}{_until(group)}" for says, group in groups[:REASONS]
        ]
        if len(groups) > REASONS:
            lines.append(f"- ... and {len(groups) - REASONS} more reasons")
        lines.append("")
    return lines


def _names(cases: list[Line]) -> str:
    names = list(
        dict.fromkeys(each["blames"] or clause for each in cases for clause in each["clauses"])
    )
    return plain(", ".join(names))


def _until(cases: list[Line]) -> str:
    notes = [each for case in cases for each in case["notes"] if each.startswith("known failure")]
    return f" ({plain('; '.join(dict.fromkeys(notes)))})" if notes else ""


def _tail(report: Report) -> list[str]:
    run = report.run
    return [
        (
            f"{len(report.cases)} cases in {report.end['seconds']:.0f} s, {plain(run['started'])}, "
            f"seed {run['seed']}, suite {plain(run['suite']['version'])} "
            f"{code(run['suite']['digest'][7:19])}, contract {code(run['contract']['digest'][7:19])}. "
            f"Again: {code(facts.run_again(report))}"
        ),
        "",
    ]
