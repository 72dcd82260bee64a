"""Gzip whose bytes depend on the data alone, on every machine (RFC 1951, 1952).

zlib promises no particular output: another version, or zlib-ng, compresses the same data to
other bytes. Golden files have to be the same wherever they are built, so they are compressed
here: one block with the fixed codes, and the nearest earlier occurrence of four bytes as the
only search. Made for files of some hundred KiB that are built now and then; slow.
"""

from __future__ import annotations

import struct
import zlib

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, unknown system
WINDOW = 32768
LONGEST = 258
SHORTEST = 4
# (first length, extra bits) of the codes 257 to 285; (first distance, extra bits) of 0 to 29.
LENGTHS = [
    *((3 + each, 0) for each in range(8)),
    *((3 + (4 + each % 4 << 1 + each // 4), 1 + each // 4) for each in range(20)),
    (258, 0),
]
DISTANCES = [
    *((1 + each, 0) for each in range(4)),
    *((1 + (2 + each % 2 << 1 + each // 2), 1 + each // 2) for each in range(26)),
]


class _Bits:
    """A stream of bits, least significant first."""

    def __init__(self) -> None:
        self._done = bytearray()
        self._held = self._count = 0

    def number(self, value: int, width: int) -> None:
        self._held |= value << self._count
        self._count += width
        while self._count >= 8:
            self._done.append(self._held & 0xFF)
            self._held >>= 8
            self._count -= 8

    def code(self, value: int, width: int) -> None:
        """Append a code, which stands with its most significant bit first."""
        self.number(int(f"{value:0{width}b}"[::-1], 2), width)

    def symbol(self, value: int) -> None:
        """Append a literal or length symbol in the fixed code."""
        if value < 144:
            self.code(0x30 + value, 8)
        elif value < 256:
            self.code(0x190 + value - 144, 9)
        elif value < 280:
            self.code(value - 256, 7)
        else:
            self.code(0xC0 + value - 280, 8)

    def copy(self, length: int, distance: int) -> None:
        """Append "repeat `length` bytes from `distance` bytes ago"."""
        row = max(each for each in range(len(LENGTHS)) if LENGTHS[each][0] <= length)
        self.symbol(257 + row)
        self.number(length - LENGTHS[row][0], LENGTHS[row][1])
        row = max(each for each in range(len(DISTANCES)) if DISTANCES[each][0] <= distance)
        self.code(row, 5)
        self.number(distance - DISTANCES[row][0], DISTANCES[row][1])

    def finish(self) -> bytes:
        return bytes(self._done) + (bytes([self._held]) if self._count else b"")


def compress(data: bytes) -> bytes:
    """Return gzip of the data."""
    bits = _Bits()
    bits.number(0b011, 3)  # the last block, with the fixed codes
    seen: dict[bytes, int] = {}
    position = 0
    while position < len(data):
        start = data[position : position + SHORTEST]
        before = seen.get(start, -1) if len(start) == SHORTEST else -1
        length = 0
        if before >= 0 and position - before <= WINDOW:
            length = _common(data, before, position)
            bits.copy(length, position - before)
        else:
            bits.symbol(data[position])
        for each in range(position, position + max(length, 1)):
            seen[data[each : each + SHORTEST]] = each
        position += max(length, 1)
    bits.symbol(256)
    return HEADER + bits.finish() + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def _common(data: bytes, before: int, position: int) -> int:
    length = SHORTEST
    most = min(LONGEST, len(data) - position)
    while length < most and data[before + length] == data[position + length]:
        length += 1
    return length
