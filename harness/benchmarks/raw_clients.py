"""What a user of the client library alone would write: the yardsticks of the bindings' speed.

They put the same bytes on the wire as the reference bindings do, from headers that are ready
made: no ids, no checks, no retries, no memory of what was handled.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
import time
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats
import uuid_utils
from confluent_kafka import Consumer, Producer
from nats.js.api import AckPolicy, ConsumerConfig

from ampy_conformance import contract as contracts
from ampy_conformance.bindings.kafka_records import short
from ampy_conformance.contract import payloads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.broker.facts import Lane

# Records under way: what each client is used with. Small windows make Kafka's batches small, and
# then what is measured is librdkafka's cost of a request.
WINDOW = {"nats": 512, "kafka": 8192}
PATIENCE = 30.0
KEEP = "INSERT OR IGNORE INTO seen SELECT value FROM json_each(?) RETURNING id"


class RawNats:
    """nats-py: `publish_async` in a window; pull, and acknowledgements that are confirmed."""

    async def begin(self, lane: Lane) -> None:
        """Connect."""
        self._names: Mapping[str, str] = lane.names
        self._client = await nats.connect(lane.url, pending_size=32 * 1024 * 1024)
        self._js = self._client.jetstream(timeout=PATIENCE)

    def ready(self, records: Sequence[Outgoing]) -> list[Any]:
        """Return what `publish` takes, made before the clock runs."""
        return [
            (each.topic, each.payload, {**each.headers, "Nats-Msg-Id": each.message_id})
            for each in records
        ]

    async def publish(self, ready: list[Any]) -> None:
        """Publish everything, acknowledged."""
        waiting: deque[asyncio.Future[Any]] = deque()
        for each in ready:
            if len(waiting) >= WINDOW["nats"]:
                await waiting.popleft()
            topic, payload, headers = self.prepared(each)
            waiting.append(await self._js.publish_async(topic, payload, headers=headers))
        while waiting:
            await waiting.popleft()

    def prepared(self, each: Any) -> tuple[str, bytes, dict[str, str]]:
        """Return subject, payload and headers, which are ready made."""
        topic, payload, headers = each
        return topic, payload, headers

    async def consume(self, pattern: str, count: int) -> None:
        """Take everything, and have each acknowledgement confirmed."""
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=2 * WINDOW["nats"])
        taken = await self._js.pull_subscribe(
            pattern, durable=f"raw-{uuid.uuid4().hex}", stream=self._names["stream"], config=config
        )
        under_way: deque[asyncio.Future[Any]] = deque()
        left = count
        while left:
            batch = await taken.fetch(min(left, WINDOW["nats"]), timeout=PATIENCE)
            left -= len(batch)
            self.handle(batch)
            under_way.append(asyncio.gather(*(each.ack_sync(timeout=PATIENCE) for each in batch)))
            if len(under_way) > 1:
                await under_way.popleft()
        while under_way:
            await under_way.popleft()
        await taken.unsubscribe()

    def handle(self, batch: Sequence[Any]) -> None:
        """Look at what has come."""
        for each in batch:
            assert each.headers

    async def end(self) -> None:
        """Empty the stream and disconnect."""
        await self._js.purge_stream(self._names["stream"])
        await self._client.close()


class RawKafka:
    """confluent-kafka: an idempotent producer; batches, and a commit behind each."""

    async def begin(self, lane: Lane) -> None:
        """Make a producer that has its number already."""
        self._lane = lane
        self._address = lane.url.partition("://")[2]
        self._producer = Producer(
            {
                "bootstrap.servers": self._address,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 1,
                "partitioner": "murmur2_random",
                "socket.nagle.disable": True,
                "message.max.bytes": 4 * 1024 * 1024,
                "log_level": 0,
            }
        )
        self._producer.list_topics(timeout=PATIENCE)

    def ready(self, records: Sequence[Outgoing]) -> list[Any]:
        """Return what `publish` takes, made before the clock runs."""
        return [
            (
                ".".join(each.topic.split(".")[:4]),
                each.payload,
                each.headers["partition_key"],
                [(name, value.encode()) for name, value in each.headers.items()]
                + [("topic", each.topic.encode())],
            )
            for each in records
        ]

    async def publish(self, ready: list[Any]) -> None:
        """Publish everything, acknowledged."""
        produce, poll = self._producer.produce, self._producer.poll
        done = 0

        def delivered(error: Any, _: Any) -> None:
            nonlocal done
            assert error is None
            done += 1

        for number, each in enumerate(ready):
            topic, payload, key, headers = self.prepared(each)
            produce(topic, value=payload, key=key, headers=headers, on_delivery=delivered)
            while number - done >= WINDOW["kafka"]:
                poll(0.01)
        while done < len(ready):
            poll(0.01)

    def prepared(self, each: Any) -> tuple[str, bytes, str, list[tuple[str, Any]]]:
        """Return topic, payload, key and headers, which are ready made."""
        topic, payload, key, headers = each
        return topic, payload, key, headers

    async def consume(self, pattern: str, count: int) -> None:
        """Take everything, commit behind each batch, and wait for the last commit."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._address,
                "group.id": self._lane.group(f"raw-{uuid.uuid4().hex}"),
                "group.protocol": "consumer",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        consumer.subscribe([".".join(pattern.split(".")[:4])])
        left = count
        deadline = time.monotonic() + PATIENCE
        while left and time.monotonic() < deadline:
            batch = consumer.consume(min(left, 256), timeout=1.0)  # it waits until it has as many
            assert all(each.error() is None for each in batch)
            self.handle(batch)
            left -= len(batch)
            if batch:
                consumer.commit(asynchronous=True)
        assert not left
        # Named, because what is under way may have them already, and nobody would wait for it.
        ends = consumer.position(consumer.assignment())
        consumer.commit(offsets=[e for e in ends if e.offset >= 0], asynchronous=False)
        consumer.close()

    def handle(self, batch: Sequence[Any]) -> None:
        """Look at what has come."""
        for each in batch:
            assert each.headers()
            assert each.value()

    async def end(self) -> None:
        """Let the producer go."""
        self._producer.flush(PATIENCE)


class Least:
    """The least that the contract asks of anybody, in straight Python, as cheap as we could make it.

    A producer: an id, a time and a trace of each record's own, and a payload that was parsed. A
    consumer: the payload parsed, and the id kept in a file, and known from then on, before the
    record is acknowledged. No key is compared, no header judged, no order, attempt or state kept,
    nothing counted, and nobody told what became of a record.
    """

    def __init__(self) -> None:
        self._types = payloads.types(contracts.load())
        self._folder = tempfile.TemporaryDirectory(prefix="ampy-bench-")
        self._db = sqlite3.connect(Path(self._folder.name, "seen.sqlite"), isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._random, self._place = "", 0
        self._millisecond, self._text = 0, ""

    def headers(self, record: Mapping[str, Any]) -> dict[str, str]:
        """Return the headers of a logical record, whose payload was parsed."""
        self._types.of(record["schema_fqdn"]).FromString(record["payload"])
        at = self._place
        if at >= len(self._random):
            self._random, at = os.urandom(24 * 256).hex(), 0
        self._place = at + 48
        trace, span = self._random[at : at + 32], self._random[at + 32 : at + 48]
        now = time.time_ns() // 1_000_000
        if now != self._millisecond:
            self._millisecond = now
            second, rest = divmod(now, 1000)
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)) + f".{rest:03d}Z"
        return {
            "message_id": str(uuid_utils.uuid7()),
            "schema_fqdn": record["schema_fqdn"],
            "schema_version": "1.0.0",
            "content_type": "application/x-protobuf",
            "produced_at": self._text,
            "producer": "bench@1",
            "source": "bench",
            "run_id": "r",
            "trace_id": trace,
            "span_id": span,
            "traceparent": f"00-{trace}-{span}-01",
            "partition_key": ".".join(record["key"].values()),
        }

    def take(self, records: Sequence[tuple[Mapping[str, str], bytes]]) -> None:
        """Parse the payloads of records, and keep their ids."""
        of, ids = self._types.of, []
        for headers, payload in records:
            of(headers["schema_fqdn"]).FromString(payload)
            ids.append(headers["message_id"])
        fresh = self._db.execute(KEEP, (json.dumps(ids),)).fetchall()  # a transaction of its own
        assert len(fresh) == len(ids)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()
        self._folder.cleanup()


class LeastNats(RawNats):
    """nats-py with the least of a binding; takes logical records."""

    async def begin(self, lane: Lane) -> None:
        """Connect, and open the file."""
        await super().begin(lane)
        self._least = Least()

    def ready(self, records: Sequence[Any]) -> list[Any]:
        """Return what `publish` takes: logical records."""
        return list(records)

    def prepared(self, each: Any) -> tuple[str, bytes, dict[str, str]]:
        """Build what is published."""
        headers = self._least.headers(each)
        return each["topic"], each["payload"], {**headers, "Nats-Msg-Id": headers["message_id"]}

    def handle(self, batch: Sequence[Any]) -> None:
        """Parse and keep what has come."""
        self._least.take([(each.headers, each.data) for each in batch])

    async def end(self) -> None:
        """Let everything go."""
        await super().end()
        self._least.close()


class LeastKafka(RawKafka):
    """confluent-kafka with the least of a binding; takes logical records."""

    async def begin(self, lane: Lane) -> None:
        """Make the producer, and open the file."""
        await super().begin(lane)
        self._least = Least()

    def ready(self, records: Sequence[Any]) -> list[Any]:
        """Return what `publish` takes: logical records."""
        return list(records)

    def prepared(self, each: Any) -> tuple[str, bytes, str, list[tuple[str, Any]]]:
        """Build what is published."""
        headers, topic = self._least.headers(each), each["topic"]
        whole = [*headers.items(), ("topic", topic)]
        return short(topic), each["payload"], headers["partition_key"], whole

    def handle(self, batch: Sequence[Any]) -> None:
        """Read headers as text, parse and keep what has come."""
        texts = [{name: value.decode() for name, value in each.headers()} for each in batch]
        self._least.take([(one, each.value()) for one, each in zip(texts, batch, strict=True)])

    async def end(self) -> None:
        """Let everything go."""
        await super().end()
        self._least.close()


RAW = {"nats": RawNats, "kafka": RawKafka}
LEAST = {"nats": LeastNats, "kafka": LeastKafka}
