"""What a broker needs stands in a transport; the core knows none of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ampy_conformance.bindings.records import Record

    Hear = Callable[[str, Mapping[str, str], bytes], None]
    Stored = Callable[[str | Exception], None]  # the position, or a Refusal or Unknown
    Confirmed = Callable[[Record, bool], None]


# What is said of an acknowledgement.
CONFIRMED, NOT_YET = True, False


class Refusal(Exception):
    """The broker did certainly not store the record."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unknown(Exception):
    """Whether the broker stored the record is unknown."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Tuning:
    """The settings of a bus, in seconds and counts."""

    max_attempts: int | None = None  # None: by QoS class
    backoff_base: float = 0.2
    backoff_max: float = 30.0
    publish_attempts: int | None = None  # None: by QoS class
    publish_timeout: float = 5.0
    max_in_flight: int = 256
    handler_timeout: float = 30.0
    redelivery: float = 30.0
    lag_high: int = 0  # 0: no signal
    lag_low: int = 0

    @classmethod
    def from_frame(cls, given: Mapping[str, int]) -> Tuning:
        """Read the `tuning` of an `open` frame (milliseconds)."""
        known: dict[str, Any] = {}
        for name, scale in NAMES.items():
            if name in given:
                field = name.removesuffix("_ms")
                known[field] = given[name] / 1000 if scale else given[name]
        return cls(**known)


NAMES = {
    "max_attempts": False,
    "backoff_base_ms": True,
    "backoff_max_ms": True,
    "publish_attempts": False,
    "publish_timeout_ms": True,
    "max_in_flight": False,
    "handler_timeout_ms": True,
    "redelivery_ms": True,
    "lag_high": False,
    "lag_low": False,
}


def stream_of(pattern: str) -> str:
    """Return which of the bus's streams, by its name in `open`, carries a pattern's topics."""
    return "dlq_stream" if pattern.split(".")[2:3] == ["dlq"] else "stream"


class Shifts(Protocol):
    """Who is told when the broker moves parts of the log between the members of a group."""

    def assigned(self, logs: Sequence[str]) -> None:
        """Take note that records of these logs come here from now on."""

    async def revoked(
        self, logs: Sequence[str], leaving: Callable[[Record], bool], patience: float
    ) -> None:
        """Let go of the records that `leaving` names; what is in work has `patience` seconds."""

    def handled(self, records: Sequence[Record]) -> list[Record]:
        """Return those that the group is through with, as far as it remembers."""


class Membership(Protocol):
    """One member of a consumer group on the broker."""

    name: str

    async def ack(self, records: Sequence[Record], confirmed: Confirmed) -> None:
        """Acknowledge records.

        `confirmed` is told of each, True once the broker has confirmed it, False where it has not yet.
        """

    async def lag(self) -> int:
        """Return how many records of the group are not settled; raises `Unknown`."""

    async def progress(self, records: Sequence[Record]) -> None:
        """Say that records are still being worked on."""

    async def give_back(self, records: Sequence[Record]) -> None:
        """Return records to the group at once."""

    async def leave(self) -> None:
        """End the membership."""


class Transport(Protocol):
    """A connection to a broker."""

    async def connect(self, url: str, names: Mapping[str, str], tuning: Tuning) -> None:
        """Connect; raises `Unknown` or `Refusal`."""

    async def publish(
        self, topic: str, headers: Mapping[str, str], payload: bytes, message_id: str | None
    ) -> str:
        """Store a record and return its position; raises `Refusal` or `Unknown`."""

    async def send(
        self,
        topic: str,
        headers: Mapping[str, str],
        payload: bytes,
        message_id: str | None,
        answered: Stored,
    ) -> None:
        """Have a record stored while others are under way; returns when it has been sent.

        `answered` is told its position, or the `Refusal` or `Unknown` that came instead. What is
        raised here is not told again. Records of a key are stored in the order of these calls,
        as long as none is refused.
        """

    async def join(
        self,
        pattern: str,
        group: str,
        member: str,
        start: str,
        taken: Callable[[Record], None],
        shifts: Shifts | None = None,
    ) -> Membership:
        """Join a group; `taken` is called with every record, in order."""

    async def read(self, pattern: str, since: float | None = None) -> list[Record]:
        """Return what the log holds under a pattern now, in its order, touching no group.

        What was stored before `since` (seconds of the epoch) may be left out.
        """

    async def listen(self, topic: str, hear: Hear) -> None:
        """Call `hear` with topic, headers and payload of what is published on a topic from now on."""

    async def close(self) -> None:
        """Disconnect."""


async def stored(
    transport: Any, topic: str, headers: Mapping[str, str], payload: bytes, message_id: str | None
) -> str:
    """Send a record, wait for its answer, and return its position; raises `Refusal` or `Unknown`."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def answered(answer: str | Exception) -> None:
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    await transport.send(topic, headers, payload, message_id, answered)
    return await future


async def acknowledged(membership: Membership, record: Record) -> bool:
    """Acknowledge one record and return whether the broker has confirmed it."""
    future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def confirmed(_: Record, done: bool) -> None:
        if not future.done():
            future.set_result(done)

    await membership.ack([record], confirmed)
    return await future
