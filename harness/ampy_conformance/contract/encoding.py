"""Content encoding: gzip, undone within bounds of memory and time (SER-05, HDR-09).

A gzip stream may have several members (RFC 1952, 2.2); a body must not be refused for that.
Anything behind the last member is a fault: two readers would see two different payloads.
"""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"\x1f\x8b"
# Far above any legal record (below 1 MiB on the wire, SER-07), far below what hurts.
LIMIT = 16 * 1024 * 1024
# An empty member takes 20 bytes and some 10 us: this bounds the time that a payload can cost.
MEMBERS = 4096
CHUNK = 16 * 1024
NONE = ("", "identity")


class EncodingFault(ValueError):
    """The body cannot be had from the bytes on the wire; `clause` says which rule is broken."""

    def __init__(self, clause: str, message: str) -> None:
        super().__init__(message)
        self.clause = clause


class BodyTooLarge(EncodingFault):
    """The bytes are gzip as far as was read, and unpack to more than the limit."""


def looks_gzip(data: bytes) -> bool:
    """Tell whether bytes begin as gzip does.

    No protobuf message does: 0x1f would be a field of wire type 7, which does not exist.
    """
    return data[:2] == MAGIC


def compress(data: bytes) -> bytes:
    """Return gzip of the data, the same bytes each time (with one build of zlib)."""
    return gzip.compress(data, mtime=0)


def decode_body(headers: Mapping[str, str], payload: bytes, limit: int = LIMIT) -> bytes:
    """Return the body of a record: content encoding undone, at most `limit` bytes.

    Raises `EncodingFault` of HDR-09 (unknown encoding) or SER-05 (header and bytes disagree).
    The caller branches on `blob_ref` first: a pointer's payload is empty and its
    content_encoding describes the object (A-35).
    """
    encoding = headers.get("content_encoding", "")
    if encoding == "gzip":
        return gunzip(payload, limit)
    if encoding not in NONE:
        raise EncodingFault("HDR-09", f"content_encoding {encoding[:40]!r} is unknown")
    if looks_gzip(payload):
        raise EncodingFault("SER-05", "the bytes are gzip and no header says so")
    return payload


def gunzip(data: bytes, limit: int = LIMIT) -> bytes:
    """Return the decompressed data; a bomb is stopped at `limit` bytes, not after it.

    Raises `EncodingFault` of SER-05, `BodyTooLarge` above the limit.
    """
    view = memoryview(data)
    body: list[bytes] = []
    size = position = members = 0
    while position < len(view):
        if position and bytes(view[position : position + 2]) != MAGIC:
            raise EncodingFault("SER-05", "bytes follow the end of the gzip payload")
        members += 1
        if members > MEMBERS:
            raise BodyTooLarge("SER-05", f"the gzip payload has more than {MEMBERS} members")
        position, size = _member(view, position, body, size, limit)
    if not members:
        raise EncodingFault("SER-05", "content_encoding says gzip and the payload is empty")
    return b"".join(body)


def _member(
    view: memoryview, position: int, body: list[bytes], size: int, limit: int
) -> tuple[int, int]:
    """Append what one member holds; return where it ends, and the size of the body so far."""
    engine = zlib.decompressobj(wbits=31)
    while not engine.eof:
        chunk: bytes | memoryview = engine.unconsumed_tail
        if not chunk:
            chunk = view[position : position + CHUNK]
            position += len(chunk)
        if not chunk:
            raise EncodingFault("SER-05", "the gzip payload is cut off")
        try:
            # One byte more than allowed tells a body at the limit from one beyond it.
            piece = engine.decompress(chunk, limit - size + 1)
        except zlib.error:
            sentence = "content_encoding says gzip and the bytes are not"
            raise EncodingFault("SER-05", sentence) from None
        size += len(piece)
        if size > limit:
            raise BodyTooLarge("SER-05", f"the gzip payload unpacks to more than {limit} bytes")
        body.append(piece)
    return position - len(engine.unused_data), size
