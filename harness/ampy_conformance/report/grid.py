"""Bindings against clauses, from several reports: what a release manager shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.report import facts, page, safe
from ampy_conformance.report.formats import markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ampy_conformance.report.lines import Line, Report


@dataclass(frozen=True)
class Column:
    """One report: its name, where its own page is (None: nowhere), and its lines."""

    name: str
    link: str | None
    report: Report


@dataclass(frozen=True)
class Matrix:
    """Columns, and a row for every clause that any of the reports knows."""

    columns: tuple[Column, ...]
    clauses: dict[str, Line]
    notes: tuple[str, ...]

    def outcome(self, column: Column, clause: str) -> str | None:
        """Return what became of a clause in a report; None where its contract has no such clause."""
        line = column.report.clauses.get(clause)
        return None if line is None else str(line["outcome"])


def build(reports: Sequence[tuple[str, str | None, Report]]) -> Matrix:
    """Return the matrix of reports, each with its name and the link to its own page.

    Clauses are those of the newest report, then those that only older ones have.
    """
    columns = tuple(Column(name, link, safe.report(each)) for name, link, each in reports)
    newest = sorted(columns, key=lambda each: str(each.report.run["started"]), reverse=True)
    clauses: dict[str, Line] = {}
    for each in newest:
        for name, line in each.report.clauses.items():
            clauses.setdefault(name, line)
    return Matrix(columns, clauses, tuple(_notes(columns)))


def _notes(columns: Sequence[Column]) -> list[str]:
    """Say which reports cannot be held against one another without a caveat."""
    found = []
    for what in ("contract", "suite"):
        kinds: dict[str, list[str]] = {}
        for each in columns:
            about = each.report.run[what]
            kinds.setdefault(f"{about['version']} {about['digest'][7:19]}", []).append(each.name)
        if len(kinds) > 1:
            told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())
            found.append(f"These reports were made with unlike versions of the {what}. {told}.")
    found += [
        f"{e.name} is of a part of the suite only." for e in columns if facts.partial(e.report)
    ]
    return found


def to_html(matrix: Matrix) -> str:
    """Return the matrix as one page."""
    rows = [
        _Row(line, [(each, matrix.outcome(each, name)) for each in matrix.columns])
        for name, line in matrix.clauses.items()
    ]
    return page.render(
        "matrix.html.j2",
        matrix=matrix,
        heads=[_head(each) for each in matrix.columns],
        rows=rows,
        outcomes=[name for name in facts.OUTCOMES if any(name in each.outcomes for each in rows)],
        profiles=list(dict.fromkeys(each["profile"] for each in matrix.clauses.values())),
    )


@dataclass(frozen=True)
class _Row:
    """A clause, and what became of it in every report."""

    clause: Line
    cells: list[tuple[Column, str | None]]

    @property
    def outcomes(self) -> set[str]:
        return {outcome or "absent" for _, outcome in self.cells}


def _head(column: Column) -> dict[str, Any]:
    report = column.report
    passed, judged, every = facts.must(report)
    return {
        "name": column.name,
        "link": column.link,
        "binding": facts.binding(report),
        "broker": facts.broker(report),
        "word": facts.word(report),
        "tone": {0: "good", 1: "bad", 6: "doubt"}.get(report.end["exit"], "none"),
        "passed": passed,
        "judged": judged,
        "every": every,
        "counts": {k: v for k, v in facts.counts(report.clauses.values()).items() if v},
        "profiles": [name for name, each in report.end["profiles"].items() if each["claimed"]],
        "started": report.run["started"][:10],
        "faults": len(report.trials),
        "contract": f"{report.run['contract']['version']} {report.run['contract']['digest'][7:19]}",
        "suite": f"{report.run['suite']['version']} {report.run['suite']['digest'][7:19]}",
    }


def to_markdown(matrix: Matrix) -> str:
    """Return the matrix as GitHub's Markdown: a row a report, then a row a clause."""
    plain = markdown.plain
    heads = [_head(each) for each in matrix.columns]
    lines = ["# Certified bindings", ""]
    lines += markdown.table(
        ["binding", "broker", "verdict", "MUST passed", "clauses", "faults", "date", "report"],
        [
            [
                plain(each["binding"]), plain(each["broker"]), f"**{each['word']}**",
                f"{each['passed']} of {each['every']}",
                ", ".join(f"{count} {what}" for what, count in each["counts"].items()),
                str(each["faults"] or "none"), plain(each["started"]),
                f"[{plain(each['name'])}]({each['link']})" if each["link"] else plain(each["name"]),
            ]
            for each in heads
        ],
    )  # fmt: skip
    lines += ["", *(f"> {plain(each, 2000)}" for each in matrix.notes), ""]
    lines += ["## Clauses", ""]
    used = [name for name in facts.OUTCOMES if any(name in each["counts"] for each in heads)]
    lines += [", ".join(f"{page.MARKS[each]} {each}" for each in used), ""]
    lines += markdown.table(
        ["clause", "level", "profile", *(plain(each["name"]) for each in heads), "says"],
        [
            [
                plain(name), line["level"], plain(line["profile"]),
                *(page.MARKS.get(matrix.outcome(each, name) or "", "") for each in matrix.columns),
                plain(line["text"]),
            ]
            for name, line in matrix.clauses.items()
        ],
    )  # fmt: skip
    return "\n".join([*lines, ""])
