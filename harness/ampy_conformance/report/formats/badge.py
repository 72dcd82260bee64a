"""The endpoint JSON that shields.io makes a badge of: the verdict, and the MUST that it rests on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ampy_conformance.report import facts

if TYPE_CHECKING:
    from ampy_conformance.report.lines import Report

WHAT = "shields.io endpoint: the verdict as a badge"
SUFFIX = ".badge.json"
COLOURS = {0: "brightgreen", 1: "red", 6: "yellow"}


def render(report: Report) -> str:
    """Return the badge; its word is never better than the exit code of the run."""
    passed, _, every = facts.must(report)
    code = report.end["exit"]
    message = f"{facts.word(report)}, {passed}/{every} MUST" if code in (0, 1, 6) else None
    colour = COLOURS.get(code, "lightgrey")
    if code == 0:
        known = facts.put_up_with(report)
        colour = "blue" if facts.partial(report) else "yellowgreen" if known else colour
    badge = {
        "schemaVersion": 1,
        "label": f"{report.run['contract']['name']} {report.run['contract']['version']}",
        "message": message or facts.word(report),
        "color": colour,
        "isError": code in (2, 3),
    }
    return json.dumps(badge, indent=2) + "\n"
