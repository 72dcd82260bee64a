"""One frame, one line: UTF-8 JSON, bounded, an object, without duplicate names."""

from __future__ import annotations

import json
from typing import Any

MAX_LINE = 8 * 1024 * 1024
EXCERPT = 200


class LineError(ValueError):
    """A line that is no frame; says why in one sentence."""


def encode(frame: dict[str, Any]) -> bytes:
    """Return the line of a frame, newline included."""
    line = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE:
        raise LineError(f"a frame of {len(line)} bytes is over the limit of {MAX_LINE}")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """Return the frame of a line; `LineError` quotes a bounded part of what is none."""
    if len(line) > MAX_LINE:
        raise LineError(f"a line is over the limit of {MAX_LINE} bytes")
    try:
        frame = json.loads(line, object_pairs_hook=_unique)
    except LineError:
        raise
    except (ValueError, RecursionError) as error:
        raise LineError(f"not a JSON object: {quote(line)}") from error
    if not isinstance(frame, dict):
        raise LineError(f"not a JSON object: {quote(line)}")
    return frame


def quote(line: bytes) -> str:
    """Return the beginning of a line, harmless to print."""
    text = line[:EXCERPT].decode("utf-8", "backslashreplace").rstrip("\r\n")
    shown = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
    return f"{shown!r}" + ("..." if len(line) > EXCERPT else "")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    frame = dict(pairs)
    if len(frame) != len(pairs):
        raise LineError("a frame names a field twice")
    return frame
