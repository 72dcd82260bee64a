"""The files that a driver is started from, so that a report says what was judged."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import sys
from pathlib import Path

from ampy_conformance.driver.aliases import resolve


def files(connectable: str) -> list[dict[str, str]]:
    """Return name and SHA-256 (hex) of each file that the driver's command line names.

    The program, and arguments that are files; of `py:` the module. Names have no folder. What
    these files load in turn is not looked at, and of a driver behind `tcp:` nothing is known.
    """
    kind, _, rest = resolve(connectable).partition(":")
    if kind == "exec":
        found = _named(rest)
    elif kind == "py":
        module = Path(*rest.partition(":")[0].split(".")).with_suffix(".py")
        found = [Path(each) / module for each in sys.path if (Path(each) / module).is_file()][:1]
    else:
        found = []
    return [{"name": each.name, "sha256": _hash(each)} for each in found]


def _named(command: str) -> list[Path]:
    try:
        program, *arguments = shlex.split(command)
    except ValueError:
        return []
    there = [shutil.which(program), *arguments]
    return [path for each in there if each and (path := Path(each)).is_file()]


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
