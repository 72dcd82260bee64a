"""Apache Kafka as a transport (section 15.2), with confluent-kafka.

One Kafka topic a domain and version, `partition_key` as the key, so that a key's records stand in
one partition in their order; the logical topic travels in a header. Groups are Kafka's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import operator
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from ampy_conformance.bindings import kafka_cluster
from ampy_conformance.bindings.kafka_membership import KafkaMembership
from ampy_conformance.bindings.kafka_records import (
    exact,
    headers_of,
    may_hold,
    record_of,
    short,
)
from ampy_conformance.bindings.transport import Refusal, Unknown, stored
from ampy_conformance.contract import topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from confluent_kafka import Message

    from ampy_conformance.bindings.kafka_cluster import Headers, Offsets, Partition
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.transport import Hear, Shifts, Stored, Tuning

READ_SECONDS = 20.0  # without anything new
POLL = 0.1
T = TypeVar("T")
# Records that are read of a log at once, and the shortest rest behind them.
BURST, REST = 32, 0.001


class KafkaTransport:
    """One bus on a Kafka cluster."""

    membership: type[KafkaMembership] = KafkaMembership

    async def connect(
        self,
        url: str,
        names: Mapping[str, str],  # noqa: ARG002 (topics have the contract's own names)
        tuning: Tuning,
    ) -> None:
        """Make sure that Kafka answers; clients reconnect for ever once it was there."""
        self._tuning = tuning
        self._cluster = kafka_cluster.cluster(kafka_cluster.address_of(url))
        self._known: set[str] = set()
        # A topic whose records are refused may be gone.
        self._answers = kafka_cluster.Answers(asyncio.get_running_loop(), self._known.discard)
        self._listeners: list[Listener] = []
        # Before anything else: a producer that gets its number while nothing is to be sent
        # needs a round trip for it, one that is in a hurry half a second.
        self._cluster.outlet(tuning.publish_timeout)
        await self._cluster.topics()

    # -- producing ----------------------------------------------------------------------

    async def publish(
        self, topic: str, headers: Mapping[str, str], payload: bytes, message_id: str | None
    ) -> str:
        """Store a record; every replica in sync has it when this returns."""
        return await stored(self, topic, headers, payload, message_id)

    async def send(
        self,
        topic: str,
        headers: Mapping[str, str],
        payload: bytes,
        message_id: str | None,  # noqa: ARG002 (the idempotent producer numbers its records itself)
        answered: Stored,
    ) -> None:
        """Hand a record to the producer, and hear later what has become of it."""
        outlet = self._cluster.outlet(self._tuning.publish_timeout)
        name = self.topic(topic)
        if name not in self._known:
            if not await outlet.know(name):
                await self._cluster.make([name])
                await outlet.know(name)
            self._known.add(name)

        try:
            outlet.send(
                name,
                self.key(headers),
                self.headers(topic, headers),
                payload,
                answered,
                self._answers,
            )
        except Refusal:
            self._known.discard(name)
            raise

    # What a record looks like on Kafka, one method each.

    def topic(self, logical: str) -> str:
        """Return the Kafka topic of a logical one (BND-05)."""
        return short(logical)

    def holds(self, name: str, pattern: str) -> bool:
        """Tell whether records of a pattern can be in a Kafka topic."""
        return may_hold(pattern, name)

    def headers(self, topic: str, headers: Mapping[str, str]) -> Headers:
        """Return the record headers (BND-07)."""
        return headers_of(topic, headers)

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return the Kafka key: what orders the record (BND-06)."""
        return headers.get("partition_key") or None

    # -- groups -------------------------------------------------------------------------

    async def join(
        self,
        pattern: str,
        group: str,
        member: str,
        start: str,
        taken: Callable[[Record], None],
        shifts: Shifts | None = None,
    ) -> KafkaMembership:
        """Give a new group its place, and join it."""
        found = await self._holding(pattern)
        await self._cluster.place(group, partitions(found), start)
        membership = type(self).membership(
            self._cluster, pattern, group, member, self._tuning, taken, shifts
        )
        await membership.begin(found, look=not exact(pattern))
        return membership

    async def _holding(self, pattern: str) -> dict[str, int]:
        """Return the Kafka topics that can hold records of a pattern, with their partitions.

        A topic that the pattern names is made where it is missing.
        """
        there = await self._cluster.topics()
        if exact(pattern) and self.topic(pattern) not in there:
            await self._cluster.make([self.topic(pattern)])
            there = await self._cluster.topics()
        return {name: count for name, count in there.items() if self.holds(name, pattern)}

    # -- reading without a group --------------------------------------------------------

    async def read(self, pattern: str, since: float | None = None) -> list[Record]:
        """Read from the first record stored at `since` or later to where the log ends now.

        Partitions are merged by the time at which their records were stored.
        """
        parts = partitions(await self._holding(pattern))
        ends = await self._cluster.ends(parts)
        if since is None:
            starts = await self._cluster.starts(parts)
        else:
            spec = OffsetSpec.for_timestamp(int(since * 1000))
            starts = await self._cluster.offsets(parts, spec)
        wanted = {each: at for each, at in starts.items() if 0 <= at < ends[each]}
        return await asyncio.to_thread(self._records, pattern, wanted, ends)

    def _records(self, pattern: str, starts: Offsets, ends: Offsets) -> list[Record]:
        """Return the records under a pattern; runs in a thread, which what is live need not wait for."""
        found: dict[Partition, list[tuple[int, Record]]] = {each: [] for each in starts}
        for part, message in gently(self._messages(starts, ends)):
            record = record_of(message)
            if topics.matches(pattern, record.topic):
                found[part].append((message.timestamp()[1], record))
        merged = heapq.merge(*found.values(), key=operator.itemgetter(0))
        return [record for _, record in gently(merged)]

    def _messages(self, starts: Offsets, ends: Offsets) -> Iterator[tuple[Partition, Message]]:
        """Yield the messages of partitions, each partition's in their order."""
        left = set(starts)
        if not left:
            return
        deadline = time.monotonic() + READ_SECONDS
        consumer = reader(self._cluster.address, starts)
        try:
            while left:
                burst = consumer.consume(BURST, POLL)
                if burst:  # however long a log is, it is read as long as something comes
                    deadline = time.monotonic() + READ_SECONDS
                elif time.monotonic() > deadline:
                    raise Unknown("timeout", "the log was not read in time")
                for message in burst:
                    part = (message.topic() or "", message.partition() or 0)
                    error, offset = message.error(), message.offset() or 0
                    if error is not None:
                        if error.code() == KafkaError._PARTITION_EOF:
                            left.discard(part)
                        continue
                    if offset < ends[part]:
                        yield part, message
                    if offset >= ends[part] - 1:
                        left.discard(part)
        finally:
            consumer.close()

    async def listen(self, topic: str, hear: Hear) -> None:
        """Read a topic from its end on, without a group."""
        parts = partitions(await self._holding(topic))
        ends = await self._cluster.ends(parts)
        self._listeners.append(Listener(self._cluster.address, ends, topic, hear))

    async def close(self) -> None:
        """Stop listening; the process's clients stay for the next bus."""
        for each in self._listeners:
            await each.close()


class Listener:
    """A thread that hears what is published on a topic."""

    def __init__(self, address: str, starts: Offsets, topic: str, hear: Hear) -> None:
        self._loop = asyncio.get_running_loop()
        self._consumer = reader(address, starts)
        self._topic = topic
        self._hear = hear
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kafka-listener", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._ended.is_set():
            message = self._consumer.poll(POLL)
            if message is None or message.error() is not None:
                continue
            record = record_of(message)
            if topics.matches(self._topic, record.topic) and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(
                    self._hear, record.topic, record.headers, record.payload
                )
        with contextlib.suppress(KafkaException, RuntimeError):
            self._consumer.close()

    async def close(self) -> None:
        """Stop hearing."""
        self._ended.set()
        await asyncio.to_thread(self._thread.join)


def reader(address: str, starts: Offsets) -> Consumer:
    """Return a consumer of no group at these offsets: it is assigned by hand and commits nothing."""
    own: dict[str, Any] = {
        "group.id": f"reader-{uuid.uuid4()}",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.error.backoff.ms": 20,
        # No more is fetched ahead than is soon taken: the broker's and the client's work is paced, too.
        "queued.max.messages.kbytes": 2048,
        "fetch.queue.backoff.ms": 5,
    }
    consumer = Consumer({**kafka_cluster.settings(address), **own})
    consumer.assign([TopicPartition(*part, offset) for part, offset in starts.items()])
    return consumer


def gently(items: Iterable[T]) -> Iterator[T]:
    """Yield what a thread works on, resting at least half of the time.

    While a thread computes, the event loop waits for the interpreter up to 5 ms each time that it has
    given it away, as it does with every statement to SQLite: what is live would stand still (RPL-11).
    """
    begun = time.monotonic()
    for number, each in enumerate(items, 1):
        yield each
        if number % BURST == 0:
            time.sleep(max(REST, time.monotonic() - begun))
            begun = time.monotonic()


def partitions(counts: Mapping[str, int]) -> list[Partition]:
    """Return every partition of these topics."""
    return [(name, number) for name, count in counts.items() for number in range(count)]
