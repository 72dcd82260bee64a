"""The raw observer of a Kafka lane."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ampy_conformance.broker import kafka_admin, subjects
from ampy_conformance.broker.base import Observer
from ampy_conformance.broker.facts import (
    BrokerError,
    ConsumerState,
    RefusedRecordError,
    WireRecord,
)
from ampy_conformance.broker.kafka_admin import RawRecord
from ampy_conformance.broker.kafka_wire import KafkaLink, KafkaRefusedError, error_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ampy_conformance.broker.base import Record
    from ampy_conformance.broker.kafka_admin import Partition
    from ampy_conformance.broker.kafka_topics import Topics

PARTITIONS = 3
# A long poll; the broker answers as soon as there is anything.
POLL_SECONDS = 0.25
# Between two looks for topics that a binding has made itself.
TOPICS_SECONDS = 1.0
AFTER_TROUBLE_SECONDS = 0.05
LIMIT_SECONDS = 10.0
# What goes into one record batch; a batch has to stay below the broker's message.max.bytes.
BATCH_BYTES = 524288
# Refuses every record as too large. (`min.insync.replicas` would be an error to be tried again, but
# Kafka caps it at the number of replicas, which is one here.)
FULL = {"max.message.bytes": "1"}
HEALED = dict.fromkeys(FULL)


# For the whole log of a lane, on a slow machine.
SCAN_SECONDS = 600.0


class KafkaObserver(Observer):
    """Reads the logs of a lane from where they began with it.

    In `records()` the live topics stand first, each partition in its order; between partitions there
    is none. Where a relay before the broker (`kafka_tap`) tells what is produced, that is the tap.
    Without one (`follows`) the tap is the log: what the broker refuses, and what an idempotent
    producer sends twice, leaves no trace there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        topics: Topics,
        starts: Mapping[Partition, int],
        old: set[str],
        *,
        follows: bool,
    ) -> None:
        super().__init__()
        self.follows = follows
        self._topics = topics
        self._link = KafkaLink(host, port)
        self._poll = KafkaLink(host, port)
        self._starts = dict(starts)
        self._next = dict(starts)
        self._old_groups = old
        self.full: set[Literal["stream", "dlq_stream"]] = set()
        self._known = time.monotonic()
        self._log: list[tuple[Partition, int, WireRecord]] = []
        self._reading = threading.RLock()
        self._over = threading.Event()
        self._untapped = threading.Event()
        self._follower = threading.Thread(target=self._follow, daemon=True, name="kafka-log")
        if follows:
            self._follower.start()

    # -- reading ------------------------------------------------------------------------

    def told(self, raw: RawRecord, t_ns: int) -> None:
        """Take note of a record on its way to the broker."""
        self._notify(replace(self._record(raw, t_ns), position="", stream=""))

    def untap(self) -> None:
        """Stop following the log; it is read when somebody asks."""
        self._untapped.set()

    def _follow(self) -> None:
        while not self._over.is_set() and not self._untapped.is_set():
            with self._reading:
                places = dict(self._next)
            try:
                self._take(kafka_admin.fetch(self._poll, places, POLL_SECONDS))
                self._discover()
            except BrokerError:
                self._over.wait(AFTER_TROUBLE_SECONDS)

    def _discover(self, *, now: bool = False) -> None:
        """Look for topics that were made after the lane, `now` or if the last look is long ago."""
        if not now and time.monotonic() - self._known < TOPICS_SECONDS:
            return
        self._known = time.monotonic()
        fresh = {
            (name, number): 0
            for name, count in kafka_admin.topics(self._link).items()
            if self._topics.ours(name)
            for number in range(count)
            if (name, number) not in self._starts
        }
        with self._reading:
            self._starts = {**fresh, **self._starts}
            self._next = {**fresh, **self._next}

    def _take(self, pages: Mapping[Partition, kafka_admin.Page]) -> bool:
        """Add what is new, each record once; tells whether every page reached the end of its log."""
        now = time.time_ns()
        whole = True
        for place, page in pages.items():
            with self._reading:
                begin = self._next[place]
                fresh = [each for each in page.records if each.offset >= begin]
                self._next[place] = max(begin, page.following)
                whole = whole and self._next[place] >= page.end
                for each in fresh:
                    record = self._record(each, now)
                    self._log.append((place, each.offset, record))
                    if self.follows:
                        self._notify(record)
        return whole

    def _record(self, raw: RawRecord, now: int) -> WireRecord:
        headers = tuple((name, _text(value)) for name, value in raw.headers)
        topic, number = raw.partition
        return WireRecord(
            topic=self._topics.logical(topic, headers),
            headers=headers,
            payload=raw.value or b"",
            position=f"{number}:{raw.offset}",
            stream=stream_name(raw.partition),
            t_ns=now,
            key=raw.key,
        )

    def catch_up(self) -> None:
        """Read everything that the logs hold now."""
        if self._over.is_set():
            return
        self._discover(now=True)  # a record in a topic that is a moment old is no lost record
        while True:
            with self._reading:
                places = dict(self._next)
            if self._take(kafka_admin.fetch(self._link, places)):
                return

    def records(self, pattern: str = ">") -> list[WireRecord]:
        """Return what the lane's topics hold."""
        self.catch_up()
        with self._reading:
            log = list(self._log)
        log.sort(key=lambda each: (self._topics.is_dead(each[0][0]), *each[:2]))
        return self._chosen([record for _, _, record in log], pattern)

    def scan(self, pattern: str) -> Iterator[WireRecord]:
        """Yield what the topics of a pattern hold, partition by partition as they are fetched."""
        self._discover(now=True)
        with self._reading:
            places = {
                place: start
                for place, start in self._starts.items()
                if subjects.overlap(pattern, place[0]) or subjects.overlap(pattern, f"{place[0]}.>")
            }
        ends = kafka_admin.offsets(self._link, places, kafka_admin.LATEST)
        deadline = time.monotonic() + SCAN_SECONDS
        while places := {each: at for each, at in places.items() if at < ends[each]}:
            if time.monotonic() > deadline:
                raise BrokerError(f"the log could not be read within {SCAN_SECONDS:g} s")
            now = time.time_ns()
            for place, page in kafka_admin.fetch(self._link, places).items():
                begin, places[place] = places[place], max(places[place], page.following)
                for raw in page.records:
                    if begin <= raw.offset < ends[place]:
                        record = self._record(raw, now)
                        if subjects.matches(pattern, record.topic):
                            yield record

    def ends(self) -> Mapping[str, int]:
        """Return the offset that the next record of each partition will have."""
        self._discover(now=True)
        with self._reading:
            places = list(self._starts)
        found = kafka_admin.offsets(self._link, places, kafka_admin.LATEST)
        return {stream_name(place): each for place, each in found.items()}

    def tap(self) -> list[WireRecord]:
        """Return every record of the lane in the order in which it was seen."""
        if self.follows:
            self.catch_up()
        return super().tap()

    def consumers(self) -> list[ConsumerState]:
        """Return a state for each partition that a group of this lane has, or has committed."""
        names = {
            name: kind
            for name, kind in kafka_admin.group_names(self._link).items()
            if name not in self._old_groups
        }
        if not names:
            return []
        places = kafka_admin.committed(self._link, names)
        assigned = {each.name: each.assigned for each in kafka_admin.groups(self._link, names)}
        pairs = [
            (name, place)
            for name in sorted(names)
            for place in sorted({*places.get(name, ()), *assigned.get(name, ())})
            if place in self._starts
        ]
        ends = kafka_admin.offsets(self._link, {place for _, place in pairs}, kafka_admin.LATEST)
        return [
            self._state(name, place, places.get(name, {}), ends[place]) for name, place in pairs
        ]

    def _state(
        self, name: str, place: Partition, committed: Mapping[Partition, int], end: int
    ) -> ConsumerState:
        start = self._starts[place]
        following = max(start, committed.get(place, start))
        return ConsumerState(
            stream=stream_name(place),
            name=name,
            durable=True,
            pending=0,
            pending_acks=max(0, end - following),
            delivered=following - 1,
            ack_floor=following - 1,
            settled=following - start,
            patterns=(place[0],),
        )

    # -- writing ------------------------------------------------------------------------

    def publish_many(self, records: Iterable[Record]) -> list[str]:
        """Store raw records; the Kafka key is the partition_key header, if there is one."""
        positions: dict[int, str] = {}
        batches: dict[Partition, list[tuple[int, Raw]]] = {}
        size = 0
        for number, (topic, headers, payload) in enumerate(records):
            place, raw = self._placed(topic, list(_pairs(headers)), payload)
            if not self.follows:
                self.told(RawRecord(place, -1, *raw[:2], tuple(raw[2])), time.time_ns())
            weight = len(payload) + sum(len(name) + len(value) for name, value in raw[2])
            if size and size + weight > BATCH_BYTES:
                positions.update(self._write(batches))
                batches, size = {}, 0
            batches.setdefault(place, []).append((number, raw))
            size += weight
        positions.update(self._write(batches))
        return [positions[each] for each in sorted(positions)]

    def _placed(
        self, topic: str, headers: list[tuple[str, str]], payload: bytes
    ) -> tuple[Partition, Raw]:
        name = self._topics.physical(topic)
        if name is None:
            raise RefusedRecordError(f"no topic of Kafka takes the topic {topic!r}")
        if (name, 0) not in self._starts:
            self._make(name)
        key = next((value.encode() for each, value in headers if each == self._topics.key), None)
        if not any(each == self._topics.header for each, _ in headers):
            headers.append((self._topics.header, topic))
        coded = [(each, value.encode()) for each, value in headers]
        count = sum(1 for each, _ in self._starts if each == name)
        return (name, partition_of(key, count)), (key, payload, coded)

    def _make(self, name: str) -> None:
        try:
            kafka_admin.create_topics(self._link, [name], PARTITIONS)
        except KafkaRefusedError as error:
            raise RefusedRecordError(f"no topic of Kafka takes {name!r}: {error}") from error
        self._known = 0.0
        self._discover()

    def _write(self, batches: Mapping[Partition, list[tuple[int, Raw]]]) -> dict[int, str]:
        if not batches:
            return {}
        made = {
            place: kafka_admin.batch([raw for _, raw in each]) for place, each in batches.items()
        }
        found = {}
        refused = ""
        for place, (code, base) in kafka_admin.produce(self._link, made).items():
            if code:
                refused = error_name(code)
                continue
            for offset, (number, _) in enumerate(batches[place], base):
                found[number] = f"{place[1]}:{offset}"
        if refused:
            raise RefusedRecordError(f"the broker did not store the record: {refused}")
        return found

    def limit(self, stream: Literal["stream", "dlq_stream"], *, full: bool) -> None:
        """Let the topics of live records or of dead letters refuse everything, or take it again."""
        names = sorted(
            {
                topic
                for topic, _ in self._starts
                if self._topics.is_dead(topic) is (stream == "dlq_stream")
            }
        )
        (self.full.add if full else self.full.discard)(stream)
        fill(self._link, names, full=full)

    def ping(self) -> float:
        """Return the seconds of a round trip to the broker."""
        began = time.monotonic()
        kafka_admin.offsets(self._link, [next(iter(self._starts))], kafka_admin.LATEST)
        return time.monotonic() - began

    def close(self) -> None:
        """Read what is there, heal what was filled, and leave the broker; what was read stays.

        Of an untapped lane nothing is read: the records of a load would fill the memory, for nobody.
        """
        if self._over.is_set():
            return
        if not self._untapped.is_set():
            with contextlib.suppress(BrokerError):
                self.catch_up()
        self._over.set()
        with contextlib.suppress(BrokerError):
            for each in sorted(self.full):
                self.limit(each, full=False)
        self._link.close()
        self._poll.close()
        if self.follows:
            self._follower.join(POLL_SECONDS * 4)


Raw = tuple[bytes | None, bytes, list[tuple[str, bytes]]]


def fill(link: KafkaLink, names: Iterable[str], *, full: bool) -> None:
    """Let topics refuse every record, or take records again; returns when they do."""
    places = [(each, 0) for each in names]
    kafka_admin.configure(link, {name for name, _ in places}, FULL if full else HEALED)
    deadline = time.monotonic() + LIMIT_SECONDS
    while any(bool(why) is not full for why in kafka_admin.refusal(link, places).values()):
        if time.monotonic() > deadline:
            raise BrokerError("Kafka did not apply the settings of its topics in time")
        time.sleep(0.01)


def stream_name(place: Partition) -> str:
    """Return the name of a partition as a stream: a log with one order."""
    return f"{place[0]}/{place[1]}"


def partition_of(key: bytes | None, count: int) -> int:
    """Return the partition of a key, as Java's clients and their kin choose it (murmur2)."""
    from kafka import partitioner  # noqa: PLC0415 (an extra)

    java: Any = partitioner
    return 0 if key is None else int(java.murmur2(key) & 0x7FFFFFFF) % count


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")


def _pairs(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return headers.items() if isinstance(headers, Mapping) else headers
