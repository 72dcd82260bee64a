"""Broker, lane and observer: what every kind of broker offers the suite."""

from __future__ import annotations

import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from ampy_conformance import _process
from ampy_conformance.broker import subjects
from ampy_conformance.broker.facts import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ampy_conformance.broker.facts import ConsumerState, WireRecord

    Record = tuple[str, Mapping[str, str] | Sequence[tuple[str, str]], bytes]

# Between an event seen on the wire and the broker's state that follows from it lie one or two
# milliseconds; acknowledgements make no event at all. So a wait looks again after these many
# seconds, anew after each event.
LOOKS = (0.003, 0.01, 0.03, 0.05)


class Observer(ABC):
    """An independent raw client of one lane: reads, injects, waits. Safe to use from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._changes = 0
        self._tapped: list[WireRecord] = []

    # -- reading ------------------------------------------------------------------------

    @abstractmethod
    def records(self, pattern: str = ">") -> list[WireRecord]:
        """Return what the lane's streams hold, main stream first, each in stored order."""

    @abstractmethod
    def scan(self, pattern: str) -> Iterator[WireRecord]:
        """Yield what is stored on topics of a pattern, to where the logs end now; keeps nothing.

        Each log in its order. BrokerError where it could not be read to its end: what is not
        yielded is not stored.
        """

    @abstractmethod
    def ends(self) -> Mapping[str, int]:
        """Return the number behind the last position of each log, by the name of its stream."""

    @abstractmethod
    def consumers(self) -> list[ConsumerState]:
        """Return the consumer groups of the lane's streams."""

    def tap(self) -> list[WireRecord]:
        """Return every record seen since the lane was made, also what no stream took.

        In order of arrival; what a producer sent twice stands twice, even where the broker's
        deduplication hides it from the log.
        """
        with self._changed:
            return list(self._tapped)

    def acknowledged(self, consumer: str, position: str | int) -> bool:
        """Tell whether the consumer of this name has acknowledged the record at `position`."""
        return any(
            each.acknowledged(position) for each in self.consumers() if each.name == consumer
        )

    # -- writing ------------------------------------------------------------------------

    @abstractmethod
    def publish_many(self, records: Iterable[Record]) -> list[str]:
        """Store raw records in this order and return their positions.

        RefusedRecordError where the broker refuses one; nothing is added to what is given.
        """

    def publish(
        self,
        topic: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        payload: bytes,
    ) -> str:
        """Store one raw record and return its position."""
        return self.publish_many([(topic, headers, payload)])[0]

    @abstractmethod
    def limit(self, stream: Literal["stream", "dlq_stream"], *, full: bool) -> None:
        """Let a stream refuse every record, or take records again."""

    def fill_dlq(self) -> None:
        """Let the broker refuse dead letters."""
        self.limit("dlq_stream", full=True)

    def heal_dlq(self) -> None:
        """Let the broker take dead letters again."""
        self.limit("dlq_stream", full=False)

    def fill_main(self) -> None:
        """Let the broker refuse live records."""
        self.limit("stream", full=True)

    def heal_main(self) -> None:
        """Let the broker take live records again."""
        self.limit("stream", full=False)

    @abstractmethod
    def ping(self) -> float:
        """Return the seconds of a raw round trip; afterwards the tap is certainly listening."""

    @abstractmethod
    def close(self) -> None:
        """Leave the broker."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- waiting ------------------------------------------------------------------------

    def wait_for(
        self,
        predicate: Callable[[WireRecord], object],
        timeout: float,
        where: Literal["tap", "log"] = "tap",
    ) -> WireRecord | None:
        """Return the first record that `predicate` accepts, None when `timeout` s have passed.

        `tap`: everything seen on the wire, from the lane's beginning; `log`: what is stored.
        """
        found: list[WireRecord] = []
        checked = 0
        known: set[tuple[str, str]] = set()

        def look() -> bool:
            nonlocal checked
            if where == "tap":
                with self._changed:
                    fresh = self._tapped[checked:]
                checked += len(fresh)
            else:
                fresh = [r for r in self.records() if (r.stream, r.position) not in known]
                known.update((each.stream, each.position) for each in fresh)
            found.extend(each for each in fresh if predicate(each))
            return bool(found)

        return found[0] if self._wait(look, timeout, live=where == "tap") else None

    def wait_until(self, predicate: Callable[[], object], timeout: float) -> bool:
        """Wait until `predicate` holds; it is asked again whenever something happened."""
        return self._wait(predicate, timeout, live=False)

    def _wait(self, predicate: Callable[[], object], timeout: float, *, live: bool) -> bool:
        deadline = time.monotonic() + timeout
        quiet = 0
        while True:
            with self._changed:
                before = self._changes
            if predicate():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            look = left if live else min(left, LOOKS[min(quiet, len(LOOKS) - 1)])
            with self._changed:
                moved = self._changed.wait_for(lambda n=before: self._changes != n, look)  # type: ignore[misc]
            quiet = 0 if moved else quiet + 1

    def _notify(self, record: WireRecord | None = None) -> None:
        """Take note of an event, and of the record that came with it; wakes all waits."""
        with self._changed:
            if record is not None:
                self._tapped.append(record)
            self._changes += 1
            self._changed.notify_all()

    @staticmethod
    def _chosen(records: Iterable[WireRecord], pattern: str) -> list[WireRecord]:
        return [each for each in records if subjects.matches(pattern, each.topic)]


@dataclass(frozen=True)
class Approach:
    """Where a proxy may stand between binding and broker.

    It leads to `url`; it listens on `port` (0: on any), because some brokers tell their clients where
    to come back. `greeting` is what a client has to say before the broker answers anything.
    """

    url: str
    port: int = 0
    greeting: bytes = b""


class Lane(ABC):
    """An isolated part of a broker, with empty streams; for one test only.

    `url` carries the credentials and is for the driver alone; `names` are the broker objects
    made for the binding: `stream` (live records) and `dlq_stream`.
    """

    name: str
    url: str
    names: Mapping[str, str]

    def group(self, name: str) -> str:
        """Return the name under which a consumer group of this lane joins the broker."""
        return name

    def approach(self) -> Approach | None:
        """Return where a proxy may stand before the broker; None where none can."""
        return Approach(self.url)

    def untap(self) -> str:
        """Let the observer stop listening to what passes, and return the URL past every relay.

        For loads: what is noted of every record would be measured. Reading the log still works.
        """
        return self.url

    @abstractmethod
    def observe(self) -> Observer:
        """Return the lane's observer, whose tap has been listening since the lane was made."""

    @abstractmethod
    def close(self) -> None:
        """Leave the lane; it is not used again."""


class Broker(ABC):
    """A running broker. `durable`: its data outlives a kill; `ours`: it may be killed.

    `transport_headers`: names of headers, or their beginnings that end in a dash, which belong to
    the transport and not to the envelope.
    """

    kind: str
    version: str
    provenance: Literal["embedded", "user"]
    durable: bool
    transport_headers: tuple[str, ...] = ()

    def is_transport(self, header: str) -> bool:
        """Tell whether a header belongs to the transport."""
        name = header.lower()
        return any(
            name.startswith(each) if each.endswith("-") else name == each
            for each in self.transport_headers
        )

    @property
    def ours(self) -> bool:
        """Tell whether this process started the broker."""
        return self.provenance == "embedded"

    def facts(self) -> dict[str, Any]:
        """Return what the report says of the broker."""
        return {"kind": self.kind, "version": self.version, "provenance": self.provenance}

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Tell whether the broker runs."""

    @abstractmethod
    def lane(self) -> Lane:
        """Return a fresh lane; none is given out twice."""

    @abstractmethod
    def kill(self) -> None:
        """End the broker with SIGKILL. BrokerError where it is not ours."""

    @abstractmethod
    def restart(self) -> None:
        """Start a killed broker again on the same port and data; returns when it answers."""

    @property
    def pid(self) -> int | None:
        """The process of a broker that is ours and runs."""
        return None

    def freeze(self) -> None:
        """Stop the process without ending it (SIGSTOP). BrokerError where it is not ours."""
        _process.freeze(self._own())

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        os.kill(self._own(), signal.SIGCONT)

    def _own(self) -> int:
        pid = self.pid
        if not self.ours or pid is None:
            raise BrokerError("only a running broker that the suite has started can be frozen")
        return pid

    @abstractmethod
    def stop(self) -> None:
        """End the broker if it is ours, and remove its files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
