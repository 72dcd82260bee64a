"""The driver protocol: frames as JSON Lines, checked strictly in both directions.

`schemas/driver/protocol.json` and `errors.json` are the protocol; this room compiles them.
Both ends use it: the judge's `driver` and the judged side's `kit`.
"""

from ampy_conformance.protocol.frames import FrameError, Frames, frames
from ampy_conformance.protocol.line import MAX_LINE, decode, encode

__all__ = ["MAX_LINE", "FrameError", "Frames", "decode", "encode", "frames"]
