"""One frame, one line: UTF-8 JSON, bounded, an object, without duplicate names."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NoReturn

from ampy_conformance._errors import HarnessError
from ampy_conformance.protocol.schema import schema

MAX_LINE = schema().max_line
EXCERPT = 200
# Half of a surrogate pair can be written in JSON, but is no text; its escape begins so.
SURROGATE = b"\\ud"


class LineError(HarnessError, ValueError):
    """A line that is no frame; says why in one sentence."""


def encode(frame: dict[str, Any]) -> bytes:
    """Return the line of a frame, newline included."""
    try:
        text = json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        line = text.encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(error).__name__
        raise LineError(f"a frame holds what JSON cannot carry ({kind})") from error
    if len(line) > MAX_LINE:
        raise LineError(f"a frame of {len(line)} bytes is over the limit of {MAX_LINE}")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """Return the frame of a line; `LineError` quotes a bounded part of what is none."""
    if len(line) > MAX_LINE:
        raise LineError(f"a line is over the limit of {MAX_LINE} bytes")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LineError(f"not UTF-8: {quote(line)}") from error
    try:
        frame = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except LineError:
        raise
    except RecursionError as error:
        raise LineError(f"nested too deeply: {quote(line)}") from error
    except ValueError as error:
        raise LineError(f"not JSON: {quote(line)}") from error
    if not isinstance(frame, dict):
        raise LineError(f"not a JSON object: {quote(line)}")
    if SURROGATE in line.lower():
        _whole_characters(frame, line)
    return frame


def quote(line: bytes) -> str:
    """Return the beginning of a line, harmless to print."""
    text = line[:EXCERPT].decode("utf-8", "backslashreplace").rstrip("\r\n")[:EXCERPT]
    shown = "".join(each if each.isprintable() else _escaped(each) for each in text)
    return f"'{shown}'" + ("..." if len(line) > EXCERPT else "")


def to_base64(data: bytes) -> str:
    """Return bytes as they travel in a frame."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes:
    """Return the bytes of a frame's field; `LineError` where they are not strict base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LineError("a field is not base64") from error


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    frame = dict(pairs)
    if len(frame) != len(pairs):
        raise LineError("a frame names a field twice")
    return frame


def _no_constant(name: str) -> NoReturn:
    raise LineError(f"{name} is not JSON")


def _whole_characters(frame: dict[str, Any], line: bytes) -> None:
    try:
        json.dumps(frame, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise LineError(f"half a surrogate pair: {quote(line)}") from error
