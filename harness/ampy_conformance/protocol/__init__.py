"""The driver protocol: frames as JSON Lines, checked strictly in both directions.

`schemas/driver/protocol.json` and `errors.json` are the protocol; this room compiles them.
Both ends use it: the judge's `driver` and the judged side's `kit`.
"""

from ampy_conformance.protocol.document import document, is_stale
from ampy_conformance.protocol.frames import FrameError, Frames, frames
from ampy_conformance.protocol.line import (
    MAX_LINE,
    LineError,
    decode,
    encode,
    from_base64,
    to_base64,
)
from ampy_conformance.protocol.schema import CANNOT_LOAD, Schema, schema

__all__ = [
    "CANNOT_LOAD",
    "MAX_LINE",
    "FrameError",
    "Frames",
    "LineError",
    "Schema",
    "decode",
    "document",
    "encode",
    "frames",
    "from_base64",
    "is_stale",
    "schema",
    "to_base64",
]
