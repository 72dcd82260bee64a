"""What the verbs of `report` share."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ampy_conformance._errors import UsageError
from ampy_conformance.report import lines

REPORT = click.Path(path_type=Path, allow_dash=True)


def read(path: Path) -> lines.Report:
    """Read a report from a file, or from standard input for `-`."""
    if str(path) == "-":
        return lines.parse(sys.stdin.buffer.read(), "standard input")
    return lines.read(path)


def write(content: bytes, path: Path | None) -> None:
    """Write to a file, or to standard output where there is no path or `-`."""
    if path is None or str(path) == "-":
        sys.stdout.buffer.write(content)
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
