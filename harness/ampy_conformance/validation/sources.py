"""Where records come from: every source yields items, and none holds more than one of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from ampy_conformance import broker
from ampy_conformance._errors import UsageError
from ampy_conformance.contract.envelope import Envelope, EnvelopeError, from_json, loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LINES = (".jsonl", ".ndjson")
# A record is below 1 MiB (SER-07), so below 1.5 MiB as JSON; files may hold some of them.
FILE_LIMIT = 64 * 1024 * 1024
LINE_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was read: an envelope, or the sentence that says why there is none.

    `where` is what the user calls it; `stream` names the stream that it belongs to, None where
    it stands alone.
    """

    where: str
    envelope: Envelope | None
    problem: str | None = None
    stream: str | None = None


def files(paths: Iterable[Path]) -> Iterator[Item]:
    """Yield the envelopes in files, and in all `.json` and `.jsonl` files below folders.

    A `.json` file holds one envelope, or a list of them, which is a stream; a `.jsonl` file is
    a stream. Raises `UsageError` for a path that does not exist.
    """
    for path in paths:
        if path.is_dir():
            found = (each for each in sorted(path.rglob("*")) if each.suffix in (".json", *LINES))
            for each in found:
                if each.is_file():
                    yield from _file(each)
        elif path.exists():
            yield from _file(path)
        else:
            raise UsageError(f"there is no file or folder {path}")


def lines(source: IO[bytes], name: str) -> Iterator[Item]:
    """Yield the envelopes of JSON Lines; a bad line is told with its number and skipped."""
    number = 0
    while line := source.readline(LINE_LIMIT + 1):
        number += 1
        where = f"{name}:{number}"
        if len(line) > LINE_LIMIT:
            while line and not line.endswith(b"\n"):
                line = source.readline(LINE_LIMIT)
            yield Item(where, None, f"the line has more than {LINE_LIMIT >> 20} MiB", name)
        elif line.strip():
            yield _parsed(where, line, name)


def on_broker(url: str, subject: str, max_count: int, max_seconds: float) -> Iterator[Item]:
    """Yield what a user's broker holds for `subject`, read-only and bounded; each stream is one."""
    for record in broker.read_only(url, subject, max_count, max_seconds):
        envelope = Envelope(record.topic, record.header_map(), record.payload)
        yield Item(f"{record.stream}:{record.position}", envelope, stream=record.stream)


def _file(path: Path) -> Iterator[Item]:
    name = str(path)
    try:
        if path.suffix in LINES:
            with path.open("rb") as source:
                yield from lines(source, name)
            return
        size = path.stat().st_size
        if size > FILE_LIMIT:
            says = (
                f"the file has {size >> 20} MiB, more than {FILE_LIMIT >> 20}; one envelope has "
                "less than 2: give many records as JSON Lines (.jsonl)"
            )
            yield Item(name, None, says)
            return
        text = path.read_bytes()
    except OSError as error:
        yield Item(name, None, f"cannot be read: {error.strerror}")
        return
    if b"\x00" in text[:4096]:
        yield Item(name, None, "not JSON: this is a binary file")
    elif text.lstrip()[:1] == b"[":
        yield from _list(name, text)
    else:
        yield _parsed(name, text, None)


def _list(name: str, text: bytes) -> Iterator[Item]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        yield Item(name, None, "not JSON: a list that does not parse")
        return
    for number, each in enumerate(data, 1):
        where = f"{name}:{number}"
        try:
            yield Item(where, from_json(each), stream=name)
        except EnvelopeError as error:
            yield Item(where, None, str(error), name)


def _parsed(where: str, text: bytes, stream: str | None) -> Item:
    try:
        return Item(where, loads(text), stream=stream)
    except EnvelopeError as error:
        return Item(where, None, str(error), stream)
