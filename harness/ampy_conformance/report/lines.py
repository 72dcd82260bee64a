"""The canonical report: JSON Lines, written while the run goes on, and read back.

The first line is of kind `run`, then one `case` a test, one `load` for every load run, one `clause` for every clause of
the contract, and last `end`, which carries the SHA-256 of all bytes before it. A file
without that line, or whose digest differs, is corrupt and is never judged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1

Line = dict[str, Any]


class CorruptReport(UsageError):
    """The file is not a whole report."""


class Writer:
    """Appends lines; each is on disk before the next step of the run begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        self._stream: IO[bytes] = path.open("wb")
        self.closed = False

    def write(self, kind: str, **fields: Any) -> None:
        """Write one line of `kind`."""
        text = json.dumps({"kind": kind, **fields}, ensure_ascii=True, default=str)
        line = text.encode() + b"\n"
        self._digest.update(line)
        self._stream.write(line)
        self._stream.flush()

    def end(self, **fields: Any) -> None:
        """Write the last line and close the file."""
        self.write("end", **fields, digest=self._digest.hexdigest())
        self._stream.close()
        self.closed = True


@dataclass(frozen=True)
class Report:
    """A whole report: its head, cases in order of running, clauses by id, and its end."""

    run: Line
    cases: tuple[Line, ...]
    clauses: dict[str, Line]
    end: Line
    trials: tuple[Line, ...] = ()
    loads: tuple[Line, ...] = ()


def read(path: Path) -> Report:
    """Read and verify a report; raises `CorruptReport` in one sentence."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CorruptReport(f"cannot read the report {path}: {error.strerror}") from error
    rows: list[Line] = []
    digest = hashlib.sha256()
    before = digest.hexdigest()
    for number, line in enumerate(raw.splitlines(keepends=True), 1):
        before = digest.hexdigest()
        digest.update(line)
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CorruptReport(
                f"{path}: line {number} is not JSON; run the suite again"
            ) from error
        if not isinstance(row, dict) or "kind" not in row:
            raise CorruptReport(f"{path}: line {number} is not a line of a report")
        rows.append(row)
    if not rows or rows[0]["kind"] != "run":
        raise CorruptReport(f"{path} does not begin with a run line: not a report of this suite")
    if rows[0].get("schema") != SCHEMA_VERSION:
        raise CorruptReport(
            f"{path} is a report of schema {rows[0].get('schema')!r}; this version reads schema "
            f"{SCHEMA_VERSION}: install the matching version of the suite"
        )
    if rows[-1]["kind"] != "end":
        raise CorruptReport(f"{path} has no end line: the run was cut off, run it again")
    if rows[-1].get("digest") != before:
        raise CorruptReport(f"{path} was changed after it was written: its digest does not match")
    return Report(
        run=rows[0],
        cases=tuple(row for row in rows if row["kind"] == "case"),
        clauses={row["id"]: row for row in rows if row["kind"] == "clause"},
        end=rows[-1],
        trials=tuple(row for row in rows if row["kind"] == "trial"),
        loads=tuple(row for row in rows if row["kind"] == "load"),
    )
