"""Every clause as a row of CSV (RFC 4180), for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from ampy_conformance.report import facts

if TYPE_CHECKING:
    from ampy_conformance.report.lines import Report

WHAT = "every clause as a row: outcome, level, profile, section, what was said"
SUFFIX = ".csv"
COLUMNS = ("clause", "outcome", "level", "profile", "section", "says", "cases", "text")
# A spreadsheet takes a cell that begins so for a formula; an apostrophe makes it text.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(report: Report) -> str:
    """Return one row a clause, in the order of the contract."""
    said: dict[str, list[str]] = {}
    for case in report.cases:
        for clause, outcome in case["clauses"].items():
            if outcome == report.clauses[clause]["outcome"] and case["says"]:
                rows = said.setdefault(clause, [])
                if case["says"] not in rows:
                    rows.append(case["says"])
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(COLUMNS)
    for each in report.clauses.values():
        row = (
            each["id"], each["outcome"], each["level"], each["profile"], facts.sections(each),
            "; ".join(said.get(each["id"], [])) or each["reason"], str(len(each["cases"])),
            " ".join(each["text"].split()),
        )  # fmt: skip
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row])
    return sink.getvalue()
