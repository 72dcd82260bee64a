"""Where records come from: every source yields items, and none holds more than one file's."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from ampy_conformance import broker
from ampy_conformance._errors import UsageError
from ampy_conformance.contract.envelope import Envelope, EnvelopeError, from_json, loads, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LINES = (".jsonl", ".ndjson")
# A record is below 1 MiB (SER-07), so below 1.5 MiB as JSON; a file may hold some of them.
FILE_LIMIT = 64 * 1024 * 1024
LINE_LIMIT = 16 * 1024 * 1024
# What stands alone on the first line of JSON that is printed over several lines, as jq does.
OPENINGS = (b"{", b"[")

FORM = "; an envelope is a JSON object with topic, headers and payload_b64"
BINARY = f"not JSON: this is a binary file{FORM}"
TOO_LARGE = (
    f"more than {FILE_LIMIT >> 20} MiB, and one envelope has less than 2; give many records as "
    "JSON Lines, one object a line, in a file named .jsonl or on standard input"
)
LONG_LINE = (
    f"the line has more than {LINE_LIMIT >> 20} MiB, and one envelope has less than 2; "
    "write one record a line"
)
SEVERAL = "; of several records write each on a line, into a file named .jsonl or standard input"


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

    A `.json` file holds one envelope, or a list of them, which is a stream; a `.jsonl` file, and
    what is no regular file (a pipe), is a stream. Raises `UsageError` for a path that does not
    exist.
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
    """Yield the envelopes of JSON Lines; a bad line is told with its number and skipped.

    JSON over several lines is taken for one document, as from a `.json` file.
    """
    first = source.readline(LINE_LIMIT + 1)
    if first.strip() in OPENINGS:
        yield from _document(name, first + source.read(FILE_LIMIT))
    elif b"\x00" in first[:4096]:
        yield Item(name, None, BINARY)
    else:
        yield from _lines(first, source, name)


def on_broker(url: str, subject: str, max_count: int, max_seconds: float) -> Iterator[Item]:
    """Yield what a user's broker holds for `subject`, read-only and bounded; each stream is one."""
    for record in broker.read_only(url, subject, max_count, max_seconds):
        envelope = Envelope(record.topic, record.header_map(), record.payload)
        yield Item(f"{record.stream}:{record.position}", envelope, stream=record.stream)


def _lines(line: bytes, source: IO[bytes], name: str) -> Iterator[Item]:
    for number in itertools.count(1):
        if not line:
            return
        where = f"{name}:{number}"
        if len(line) > LINE_LIMIT:
            while line and not line.endswith(b"\n"):
                line = source.readline(LINE_LIMIT)
            yield Item(where, None, LONG_LINE, name)
        elif line.strip():
            try:
                yield Item(where, loads(line), stream=name)
            except EnvelopeError as error:
                yield Item(where, None, _explained(error), name)
        line = source.readline(LINE_LIMIT + 1)


def _file(path: Path) -> Iterator[Item]:
    # A name may hold bytes that are no text.
    name = str(path).encode("utf-8", "backslashreplace").decode()
    try:
        with path.open("rb") as source:
            if path.suffix in LINES or not path.is_file():
                yield from lines(source, name)
            else:
                # Bounded, for the size that a file tells need not be what it gives.
                yield from _document(name, source.read(FILE_LIMIT + 1))
    except OSError as error:
        yield Item(name, None, f"cannot be read: {error.strerror}; check its permissions")


def _document(name: str, text: bytes) -> Iterator[Item]:
    if len(text) > FILE_LIMIT:
        yield Item(name, None, TOO_LARGE)
        return
    if b"\x00" in text[:4096]:
        yield Item(name, None, BINARY)
        return
    try:
        data = parse(text)
    except EnvelopeError as error:
        yield Item(name, None, _explained(error))
        return
    alone = not isinstance(data, list)
    for number, each in enumerate([data] if alone else data, 1):
        where, stream = (name, None) if alone else (f"{name}:{number}", name)
        try:
            yield Item(where, from_json(each), stream=stream)
        except EnvelopeError as error:
            yield Item(where, None, str(error), stream)


def _explained(error: EnvelopeError) -> str:
    """Return the sentence of an error, with what to do where that is not plain from it."""
    says = str(error)
    if "Extra data" in says:
        return says + SEVERAL
    return says + FORM if says.startswith("not JSON") else says
