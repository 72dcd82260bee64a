"""Messages and header blocks as they are on a NATS connection."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ampy_conformance.broker.facts import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION_LINE = b"NATS/1.0"
_NAME = re.compile(rb"[!-9;-~]+")


@dataclass(frozen=True)
class Message:
    """One message; `block` is the header block as it came, version line included."""

    subject: str
    reply: str
    block: bytes
    payload: bytes

    @property
    def status(self) -> str:
        """The inline status of a message from the server itself, or empty text."""
        return (
            self.block.partition(b"\r\n")[0][len(VERSION_LINE) :]
            .strip()[:3]
            .decode("ascii", "replace")
        )


def parse_headers(block: bytes) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a header block in wire order; blanks around values are no part."""
    pairs = []
    for line in block.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            pairs.append((text(name), text(value.strip(b" \t"))))
    return tuple(pairs)


def text(raw: bytes) -> str:
    """Return bytes as text; what is no UTF-8 shows as `\\xNN`."""
    return raw.decode("utf-8", "backslashreplace")


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the bytes of a header block, empty where there are no headers."""
    lines = []
    for name, value in headers:
        line = name.encode(), value.encode()
        if not _NAME.fullmatch(line[0]) or b"\r" in line[1] or b"\n" in line[1]:
            raise BrokerError(f"{name!r} cannot travel as a NATS header: no blanks, no line ends")
        lines.append(b"%b: %b\r\n" % line)
    return VERSION_LINE + b"\r\n" + b"".join(lines) + b"\r\n" if lines else b""
