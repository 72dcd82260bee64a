"""The raw observer of a NATS lane."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from ampy_conformance.broker import jetstream, reading, subjects
from ampy_conformance.broker.base import Observer
from ampy_conformance.broker.facts import BrokerError, RefusedRecordError, WireRecord
from ampy_conformance.broker.nats_message import Message, header_block, parse_headers
from ampy_conformance.broker.nats_wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ampy_conformance.broker.base import Record
    from ampy_conformance.broker.facts import ConsumerState
    from ampy_conformance.broker.streams import Streams


class NatsObserver(Observer):
    """Reads a lane's streams and taps everything under the contract's first token.

    The tap does not listen on `>`: a subscription counts as interest, so it would keep the
    push consumers of dead members bound and hide "no responders" from the binding.
    """

    def __init__(self, url: str, streams: Streams) -> None:
        super().__init__()
        self._link = Connection(url)
        self._names = streams.names
        self._patterns = streams.patterns
        self._logs: dict[str, list[WireRecord]] = {name: [] for name in self._patterns}
        self._made: dict[str, str] = {}
        self._reading = threading.Lock()
        first = {each.partition(".")[0] for every in self._patterns.values() for each in every}
        self._taps = [self._link.subscribe(f"{each}.>", self._seen) for each in sorted(first)]
        self._link.subscribe("$JS.EVENT.ADVISORY.>", lambda _: self._notify())
        self._link.ping()

    def untap(self) -> None:
        """Stop listening to what passes."""
        for each in self._taps:
            self._link.unsubscribe(each)
        self._taps = []

    def make_streams(self, *, anew: bool) -> None:
        """Create the streams of the lane, empty; `anew` deletes those of that name first."""
        for name, patterns in self._patterns.items():
            config = jetstream.stream_config(name, patterns)
            if anew:
                jetstream.drop_stream(self._link, name)
            try:
                jetstream.call(self._link, f"STREAM.CREATE.{name}", config)
            except jetstream.JetStreamError as error:
                if error.code != jetstream.OVERLAP:
                    raise
                raise BrokerError(
                    f"another stream on this broker already takes subjects of {name}; "
                    "remove that stream or give a broker without it"
                ) from error

    def _seen(self, message: Message) -> None:
        self._notify(
            WireRecord(
                topic=message.subject,
                headers=parse_headers(message.block),
                payload=message.payload,
                t_ns=time.time_ns(),
            )
        )

    def records(self, pattern: str = ">") -> list[WireRecord]:
        """Return what the streams hold; what was read once is read again only if it changed."""
        found = []
        with self._reading:
            for stream in self._patterns:
                found += self._log(stream)
        return self._chosen(found, pattern)

    def scan(self, pattern: str) -> Iterator[WireRecord]:
        """Yield what the streams hold on topics of a pattern."""
        for stream, own in self._patterns.items():
            if any(subjects.overlap(pattern, each) for each in own):
                yield from reading.whole(self._link, stream, pattern)

    def ends(self) -> Mapping[str, int]:
        """Return the sequence that the next record of each stream will have."""
        infos = {each: jetstream.call(self._link, f"STREAM.INFO.{each}") for each in self._patterns}
        return {name: each["state"]["last_seq"] + 1 for name, each in infos.items()}

    def _log(self, stream: str) -> list[WireRecord]:
        info = jetstream.call(self._link, f"STREAM.INFO.{stream}")
        state, log = info["state"], self._logs[stream]
        if self._made.setdefault(stream, info["created"]) != info["created"]:
            self._made[stream] = info["created"]
            log.clear()  # somebody made the stream anew
        first, last = state["first_seq"], state["last_seq"]
        known = int(log[-1].position) if log else 0
        fresh = list(jetstream.stored(self._link, stream, max(known + 1, first), last))
        if len(log) + len(fresh) != state["messages"]:  # somebody deleted records
            log.clear()
            fresh = list(jetstream.stored(self._link, stream, first, last))
        log += fresh
        return log

    def consumers(self) -> list[ConsumerState]:
        """Return the JetStream consumers of both streams."""
        return [
            each
            for stream in self._patterns
            for each in jetstream.consumer_states(self._link, stream)
        ]

    def publish_many(self, records: Iterable[Record]) -> list[str]:
        """Store raw records, acknowledged by JetStream; no header is added."""
        asked = []
        for topic, headers, payload in records:
            if not any(subjects.any_matches(each, topic) for each in self._patterns.values()):
                # Nobody would answer, and the tap hides even that (see the class).
                raise RefusedRecordError(f"no stream takes the topic {topic!r}")
            asked.append(self._link.ask(topic, payload, block=header_block(_pairs(headers))))
        positions = []
        for each in asked:
            try:
                positions.append(str(jetstream.answer(self._link.result(each))["seq"]))
            except jetstream.JetStreamError as error:
                raise RefusedRecordError(f"the broker did not store the record: {error}") from error
        return positions

    def send(
        self, topic: str, headers: Mapping[str, str] | Sequence[tuple[str, str]], payload: bytes
    ) -> None:
        """Publish without asking for an acknowledgement, also where no stream listens."""
        self._link.publish(topic, payload, block=header_block(_pairs(headers)))

    def limit(self, stream: Literal["stream", "dlq_stream"], *, full: bool) -> None:
        """Cap a stream at what it holds: it refuses the next record and keeps all others."""
        name = self._names[stream]
        held = jetstream.call(self._link, f"STREAM.INFO.{name}")["state"]["bytes"]
        config = jetstream.stream_config(
            name, self._patterns[name], max_bytes=max(1, held) if full else -1
        )
        jetstream.call(self._link, f"STREAM.UPDATE.{name}", config)

    def ping(self) -> float:
        """Return the seconds of a round trip through the server."""
        return self._link.ping()

    def close(self) -> None:
        """Leave the server."""
        self._link.close()


def _pairs(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers
