"""Pictures of measurements that a report holds, for the pages that show them.

Lines of load tests (`kind` `load`) are drawn by the function that this module calls for them; a report
without such lines has no pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.report.lines import Line, Report

# By the kind of line: what draws it. Each gets the lines of its kind and returns (title, SVG text) pairs.
# Texts within the SVG have to be escaped already, and it is painted by attributes or by the classes of
# pages/page.css: the page's policy ignores `style`.
DRAWN: dict[str, Callable[[list[Line]], list[tuple[str, str]]]] = {}


def pictures(report: Report) -> list[tuple[str, Markup]]:
    """Return a title and an SVG for everything measured that can be drawn."""
    found: list[tuple[str, Markup]] = []
    for kind, draw in DRAWN.items():
        lines = [each for each in report.others if each["kind"] == kind]
        pairs = draw(lines) if lines else []
        found += [(title, Markup(svg)) for title, svg in pairs]  # noqa: S704 (our own drawing)
    return found
