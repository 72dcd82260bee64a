"""What an observer tells: records, consumers, positions; and how a broker fails."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ampy_conformance._errors import HarnessError

_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")


class BrokerError(HarnessError):
    """A broker did not do what was asked; one sentence, without credentials or payloads."""


class RefusedRecordError(BrokerError):
    """The broker answered that it did not store a record: this is certain."""


def redact(text: str) -> str:
    """Return `text` with the credentials of every URL in it replaced."""
    return _CREDENTIALS.sub("***@", text)


@dataclass(frozen=True)
class WireRecord:
    """One record as the broker has or had it.

    `headers` are the pairs on the wire, in order, repeated ones included, in their case; bytes
    that are no UTF-8 show as `\\xNN`. `stream` names a log with one order (a JetStream stream, a
    partition of a Kafka topic), `position` the place in it: decimal text, on Kafka behind the
    partition's number and a colon. Both may be empty for a record seen by the tap. `t_ns` is
    wall-clock time: when the broker stored the record, or when it was seen. `key`: Kafka's.
    """

    topic: str
    headers: tuple[tuple[str, str], ...]
    payload: bytes
    position: str = ""
    stream: str = ""
    t_ns: int = 0
    key: bytes | None = None

    def header(self, name: str) -> str | None:
        """Return the first value under exactly this name."""
        return next((value for each, value in self.headers if each == name), None)

    def header_map(self) -> dict[str, str]:
        """Return the headers as a mapping; of repeated ones the first counts."""
        return dict(reversed(self.headers))


@dataclass(frozen=True)
class ConsumerState:
    """One consumer group on one log as the broker counts it; numbers are places in that log.

    `pending`: stored and not yet delivered; `pending_acks`: delivered and not acknowledged (Kafka
    does not tell the two apart: stored and not committed); `delivered`: the highest place
    delivered; `ack_floor`: all up to here is acknowledged, which are `settled` records.
    """

    stream: str
    name: str
    durable: bool
    pending: int
    pending_acks: int
    delivered: int
    ack_floor: int
    redelivered: int = 0
    settled: int = 0
    patterns: tuple[str, ...] = ()

    def acknowledged(self, position: str | int) -> bool:
        """Tell whether the record at `position` is certainly acknowledged."""
        place = number(position)
        return place <= self.ack_floor or (self.pending_acks == 0 and place <= self.delivered)


def number(position: str | int) -> int:
    """Return a position as a number that grows along its log: what stands behind the last colon."""
    return int(str(position).rpartition(":")[2])
