"""Pictures of measurements that a report holds, for the pages that show them.

Lines of load tests (`kind` `load`) are drawn by the function that this module calls for them; a report
without such lines has no pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

    from ampy_conformance.report.lines import Line, Report

# By the kind of line: what draws it. Each gets the lines of its kind and returns (title, SVG) pairs; the
# texts within have to be escaped already.
DRAWN: dict[str, Callable[[list[Line]], list[tuple[str, Markup]]]] = {}


def pictures(report: Report) -> list[tuple[str, Markup]]:
    """Return a title and an SVG for everything measured that can be drawn."""
    found = []
    for kind, draw in DRAWN.items():
        lines = [each for each in report.others if each["kind"] == kind]
        found += draw(lines) if lines else []
    return found
