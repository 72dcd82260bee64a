"""Histories on disk: JSON Lines, written while the run goes on, verified when read.

The first line is of kind `history`, the last of kind `end`; between them events, each with the
case that it belongs to, numbered without gaps within the case. The end carries the number of
events and the SHA-256 of all bytes before it. `schemas/history.json` describes the lines.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ampy_conformance.history.events import Event

SCHEMA_VERSION = 1


class CorruptHistory(UsageError):
    """The file is not a whole history."""


class Writer:
    """Appends events; may be used from several threads."""

    def __init__(self, path: Path, **head: Any) -> None:
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._stream: IO[bytes] = path.open("wb")
        self._events = 0
        self._write({"kind": "history", "schema": SCHEMA_VERSION, **head})

    def add(self, case: str, event: Event) -> None:
        """Append one event of a case."""
        with self._lock:
            if not self._stream.closed:
                self._events += 1
                self._write({"case": case, **event.row()})

    def end(self) -> None:
        """Write the last line and close the file."""
        with self._lock:
            if not self._stream.closed:
                digest = self._digest.hexdigest()
                self._write({"kind": "end", "events": self._events, "digest": digest})
                self._stream.close()

    def _write(self, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=True, default=str).encode() + b"\n"
        self._digest.update(line)
        self._stream.write(line)
        self._stream.flush()


@dataclass(frozen=True)
class History:
    """A verified file: its head, and how many events it holds."""

    path: Path
    head: dict[str, Any]
    events: int


def verify(path: Path) -> History:
    """Read a file once and return what it is; raises `CorruptHistory` in one sentence."""
    digest, before = hashlib.sha256(), ""
    head: dict[str, Any] = {}
    last: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    count = 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                before = digest.hexdigest()
                digest.update(line)
                last = _row(path, number, line)
                if number == 1:
                    head = _head(path, last)
                elif last["kind"] != "end":
                    count += 1
                    _in_order(path, number, last, numbers)
    except OSError as error:
        raise CorruptHistory(f"cannot read the history {path}: {error.strerror}") from error
    if not head:
        raise CorruptHistory(f"{path} is empty: not a history")
    if last.get("kind") != "end":
        raise CorruptHistory(f"{path} has no end line: the run was cut off, run it again")
    if (last.get("digest"), last.get("events")) != (before, count):
        raise CorruptHistory(f"{path} was changed after it was written: its digest does not match")
    return History(path, head, count)


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CorruptHistory(f"{path}: line {number} is not JSON: not a whole history") from error
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
        raise CorruptHistory(f"{path}: line {number} is not a line of a history")
    return row


def _head(path: Path, row: dict[str, Any]) -> dict[str, Any]:
    if row["kind"] != "history":
        raise CorruptHistory(f"{path} does not begin with a history line: not one of this suite's")
    if row.get("schema") != SCHEMA_VERSION:
        raise CorruptHistory(
            f"{path} is a history of schema {row.get('schema')!r}; this version reads schema "
            f"{SCHEMA_VERSION}: install the matching version of the suite"
        )
    return row


def _in_order(path: Path, number: int, row: dict[str, Any], numbers: dict[str, int]) -> None:
    case, seq = row.get("case"), row.get("seq")
    if not isinstance(case, str) or not isinstance(seq, int):
        raise CorruptHistory(f"{path}: line {number} is not an event: it has no case or number")
    if seq != numbers.get(case, 0):
        raise CorruptHistory(
            f"{path}: line {number} is event {seq} of its case where {numbers.get(case, 0)} was "
            "due: lines are missing or out of order"
        )
    numbers[case] = seq + 1
