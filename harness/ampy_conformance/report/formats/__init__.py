"""The renderings of a report, one module each.

A module has `WHAT` (a line of help), `SUFFIX` of its files, and `render(report)`, which gets a report
that is fit to be shown (`report.safe`) and returns text or bytes. A new one needs nothing else.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ampy_conformance._errors import UsageError
from ampy_conformance.report import safe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ampy_conformance.report.lines import Report


@dataclass(frozen=True)
class Format:
    """One rendering: its name, what it is for, the end of its files' names, and how it is made."""

    name: str
    what: str
    suffix: str
    make: Callable[[Report], str | bytes]

    def render(self, report: Report) -> bytes:
        """Return the rendering of a report as it was read; what is hostile in it is made harmless."""
        made = self.make(safe.report(report))
        return made.encode() if isinstance(made, str) else made


def names() -> list[str]:
    """Return the names of all renderings."""
    return sorted(each.name for each in pkgutil.iter_modules(__path__))


def load(name: str) -> Format:
    """Return a rendering by name; raises `UsageError` where there is none of that name."""
    if name not in names():
        raise UsageError(f"there is no format {name!r}; there are {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    return Format(name, module.WHAT, module.SUFFIX, module.render)


def of_file(path: Path) -> Format:
    """Return the rendering that a file's name asks for; raises `UsageError` where it asks for none."""
    known = [load(each) for each in names()]
    found = [each for each in known if path.name.endswith(each.suffix)]
    if not found:
        suffixes = ", ".join(f"{each.suffix} ({each.name})" for each in known)
        raise UsageError(f"{path.name} does not tell a format by its end; there are {suffixes}")
    return max(found, key=lambda each: len(each.suffix))
