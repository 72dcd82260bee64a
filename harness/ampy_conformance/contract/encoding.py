"""Content encoding: gzip, undone within bounds."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"\x1f\x8b"
# Far above any legal record (a payload below 1 MiB on the wire), far below what hurts.
LIMIT = 64 * 1024 * 1024
NONE = ("", "identity")


class EncodingFault(ValueError):
    """The body cannot be had from the bytes on the wire; `clause` says which rule is broken."""

    def __init__(self, clause: str, message: str) -> None:
        super().__init__(message)
        self.clause = clause


def looks_gzip(data: bytes) -> bool:
    """Tell whether bytes begin as gzip does; no payload type's serialization does."""
    return data[:2] == MAGIC


def compress(data: bytes) -> bytes:
    """Return gzip of the data, the same bytes each time."""
    return gzip.compress(data, mtime=0)


def decode_body(headers: Mapping[str, str], payload: bytes, limit: int = LIMIT) -> bytes:
    """Return the body of a record: content encoding undone, at most `limit` bytes."""
    encoding = headers.get("content_encoding", "")
    if encoding == "gzip":
        return gunzip(payload, limit)
    if encoding not in NONE:
        raise EncodingFault("HDR-09", f"content_encoding {encoding[:40]!r} is unknown")
    if looks_gzip(payload):
        raise EncodingFault("SER-05", "the bytes are gzip and no header says so")
    return payload


def gunzip(data: bytes, limit: int = LIMIT) -> bytes:
    """Return the decompressed data; a bomb is stopped at `limit` bytes, not after it."""
    engine = zlib.decompressobj(wbits=31)
    try:
        body = engine.decompress(data, limit)
        if engine.unconsumed_tail or not engine.eof:
            more = engine.decompress(engine.unconsumed_tail, 1) if engine.unconsumed_tail else b""
            if more:
                raise EncodingFault("SER-05", f"the gzip payload unpacks to more than {limit} bytes")
    except zlib.error as error:
        raise EncodingFault("SER-05", "content_encoding says gzip and the bytes are not") from error
    if not engine.eof:
        raise EncodingFault("SER-05", "the gzip payload is cut off")
    if engine.unused_data:
        raise EncodingFault("SER-05", "bytes follow the end of the gzip payload")
    return body
