"""Histories on disk: JSON Lines, written while the run goes on; Parquet for long ones.

The first line is of kind `history`, the last of kind `end`; between them events, each with the
case that it belongs to, numbered without gaps within the case. The end carries the number of
events and the SHA-256 of all bytes before it. `schemas/history.json` describes the lines.
A Parquet file is made of the lines when the run is over (`convert`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.history import table

if TYPE_CHECKING:
    from pathlib import Path

    from ampy_conformance.history.events import Event

SCHEMA_VERSION = 1
# Where a Parquet history keeps its facts, and what stands there until the digest is known.
HISTORY_KEY, DIGEST_KEY, UNKNOWN = "ampy-history", "ampy-history-digest", "0" * 64
# As the footer holds it: the key, then a field of 64 bytes (Thrift's compact protocol).
DIGEST = re.compile(DIGEST_KEY.encode() + rb"\x18\x40([0-9a-f]{64})")
MAGIC = b"PAR1"
CHUNK = 1 << 24
LONGEST_END = 1 << 16


class CorruptHistory(UsageError):
    """The file is not a whole history."""


def lines_of(path: Path) -> Path:
    """Return where the lines stand while the run goes on: a Parquet file is made of them after it."""
    return path.with_name(f"{path.name}.jsonl") if path.suffix == ".parquet" else path


def beside(report: Path) -> Path:
    """Return where the history of a report is kept; Parquet where DuckDB is there to write it."""
    form = "parquet" if importlib.util.find_spec("duckdb") else "jsonl"
    return report.with_name(f"{report.stem}.history.{form}")


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file, as a report names its history."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


@dataclass(frozen=True)
class Saved:
    """A history that was written: its file, how many events, and why it is not what was asked for."""

    path: Path
    events: int
    trouble: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return what a report says of it."""
        return {
            "file": self.path.name,
            "events": self.events,
            "digest": fingerprint(self.path),
            **({"trouble": self.trouble} if self.trouble else {}),
        }


class Writer:
    """Appends events; may be used from several threads.

    Lines are written in any case, because they can be read whenever the run breaks off. Where
    `path` ends in `.parquet`, they become such a file at the end.
    """

    def __init__(self, path: Path, **head: Any) -> None:
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._path = path
        if path != lines_of(path):
            table.duckdb()  # better to miss it now than after the run
            path.unlink(missing_ok=True)  # that of an earlier run
        self._stream: IO[bytes] = lines_of(path).open("wb")
        self._events = 0
        self._saved = Saved(path, 0)
        self._write({"kind": "history", "schema": SCHEMA_VERSION, **head})

    def add(self, case: str, event: Event) -> None:
        """Append one event of a case."""
        with self._lock:
            if not self._stream.closed:
                self._events += 1
                self._write({"case": case, **event.row()})

    def end(self) -> Saved:
        """Write the last line and close the file; turn it into a Parquet file where that is asked.

        Where that does not go, what was recorded stays as lines, and `trouble` says so.
        """
        with self._lock:
            if not self._stream.closed:
                digest = self._digest.hexdigest()
                self._write({"kind": "end", "events": self._events, "digest": digest})
                self._stream.close()
                self._saved = self._turned()
            return self._saved

    def _turned(self) -> Saved:
        lines = lines_of(self._path)
        if lines != self._path:
            try:
                convert(lines, self._path)
            except UsageError as error:
                return Saved(lines, self._events, str(error))
            lines.unlink()
        return Saved(self._path, self._events)

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


def is_parquet(path: Path) -> bool:
    """Tell by its first bytes whether a file is Parquet."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def verify(path: Path) -> History:
    """Read a file once and return what it is; raises `CorruptHistory` in one sentence.

    Only its bytes are looked at; that the events are numbered as they should be shows when they
    are loaded (`properties.judge_history`).
    """
    try:
        if is_parquet(path):
            return _verify_parquet(path)
        return _verify_lines(path)
    except OSError as error:
        unfinished = lines_of(path)
        if unfinished.is_file():
            raise CorruptHistory(
                f"{path} was not made, because the run was cut off; what was recorded until then "
                f"is in {unfinished}"
            ) from error
        raise CorruptHistory(f"cannot read the history {path}: {error.strerror}") from error


def convert(lines: Path, target: Path) -> None:
    """Turn a whole history of JSON Lines into a Parquet file with the same facts.

    The file has the head and the number of events in its metadata, and there the SHA-256 of all
    its bytes, in which the place of the digest itself counts as zeros.
    """
    history = verify(lines)
    facts = {
        HISTORY_KEY: json.dumps({**history.head, "events": history.events}),
        DIGEST_KEY: UNKNOWN,
    }
    part = target.with_name(f"{target.name}.part")
    try:
        table.write_parquet(lines, part, facts)
        place, _ = _digest_of(part)
        digest = _hashed(part, place)
        with part.open("r+b") as stream:
            stream.seek(place)
            stream.write(digest.encode())
        part.replace(target)
    except (OSError, table.duckdb().Error) as error:
        explain(lines)
        first = str(error).strip().splitlines()[0]
        raise UsageError(f"cannot write {target}: {first}; the history is in {lines}") from error
    finally:
        part.unlink(missing_ok=True)


def _verify_parquet(path: Path) -> History:
    place, said = _digest_of(path)
    if _hashed(path, place) != said:
        raise CorruptHistory(f"{path} was changed after it was written: its digest does not match")
    facts = json.loads(table.metadata(path)[HISTORY_KEY])
    events = facts.pop("events")
    return History(path, _head(path, facts), events)


def _digest_of(path: Path) -> tuple[int, str]:
    """Return where the digest of a Parquet file stands, and what it says."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 8))
        tail = stream.read()
        length = int.from_bytes(tail[:4], "little") + 8
        if tail[4:] != MAGIC or length > size:
            raise CorruptHistory(f"{path} is cut off: it does not end as a Parquet file does")
        stream.seek(size - length)
        found = list(DIGEST.finditer(stream.read()))
    if len(found) != 1:
        raise CorruptHistory(f"{path} is a Parquet file, but not a history of this suite's")
    return size - length + found[0].start(1), found[0][1].decode()


def _hashed(path: Path, place: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while data := stream.read(min(CHUNK, place - stream.tell())):
            digest.update(data)
        digest.update(UNKNOWN.encode())
        stream.seek(len(UNKNOWN), os.SEEK_CUR)
        while data := stream.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()


def _verify_lines(path: Path) -> History:
    with path.open("rb") as stream:
        first = stream.readline()
        if not first:
            raise CorruptHistory(f"{path} is empty: not a history")
        head = _head(path, _row(path, 1, first))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - LONGEST_END))
        rest = stream.read()
        last = rest[rest.rstrip(b"\n").rfind(b"\n") + 1 :]
        # The first line is the head; the end is not counted.
        digest, lines = hashlib.sha256(), -1
        stream.seek(0)
        left = size - len(last)
        while data := stream.read(min(CHUNK, left)):
            left -= len(data)
            digest.update(data)
            lines += data.count(b"\n")
    try:
        end = json.loads(last)
        whole = (end["kind"], end["digest"], end["events"]) == ("end", digest.hexdigest(), lines)
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        explain(path)
        raise CorruptHistory(f"{path} is not a whole history")
    return History(path, head, lines)


def explain(path: Path) -> None:
    """Look at every line of a history that is known to be damaged; raises what is wrong with it."""
    if is_parquet(path):
        return
    digest, before = hashlib.sha256(), b""
    last: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    count = 0
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            digest.update(before)
            before = line
            last = _row(path, number, line)
            if number == 1:
                _head(path, last)
            elif last["kind"] != "end":
                count += 1
                _in_order(path, number, last, numbers)
    if last.get("kind") != "end":
        raise CorruptHistory(f"{path} has no end line: the run was cut off, run it again")
    if (last.get("digest"), last.get("events")) != (digest.hexdigest(), count):
        raise CorruptHistory(f"{path} was changed after it was written: its digest does not match")


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
