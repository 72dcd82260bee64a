"""Between a binding and Kafka: a relay that passes everything on, and tells what is being produced.

What a broker refuses leaves no trace in its log, and what an idempotent producer sends twice
leaves one. The relay sees both: it reads the frames on their way to the broker, tells the records
of every Produce request before it passes the request on, and touches nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker import kafka_admin
from ampy_conformance.broker.facts import BrokerError
from ampy_conformance.broker.kafka_wire import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from ampy_conformance.broker.kafka_admin import RawRecord

    Told = Callable[[RawRecord, int], None]

PRODUCE = 0
# From here on a Produce request names its topics by id.
BY_ID = 13
MAX_FRAME = 134217728
CHUNK = 65536
START_SECONDS = 10.0


class KafkaTap:
    """Relays on ports of its own; `told` is called with each record and its time (ns).

    `names` returns the topics by their ids; it is asked where a producer uses ids.
    """

    def __init__(self, told: Told, names: Callable[[], dict[UUID, str]]) -> None:
        self._told = told
        self._names = names
        self._known: dict[UUID, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, daemon=True, name="kafka-tap"
        )
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._towards: dict[int, int] = {}

    def listen(self) -> int:
        """Open a port and return it; connections to it are refused until `lead` says where to."""
        server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(START_SECONDS)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def lead(self, port: int, upstream: int) -> None:
        """Relay connections to `port` to the broker's port."""
        self._towards[port] = upstream

    def close(self) -> None:
        """End every relay."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _end(self) -> None:
        for each in self._servers:
            each.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        port = writer.get_extra_info("sockname")[1]
        other: asyncio.StreamWriter | None = None
        try:
            answers, other = await asyncio.open_connection("127.0.0.1", self._towards[port])
            ways = [
                asyncio.ensure_future(self._requests(reader, other)),
                asyncio.ensure_future(_copy(answers, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in ways:
                    each.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, KeyError, asyncio.CancelledError):
            pass  # nobody there, or the end of the run: the binding sees its connection closed
        finally:
            for end in (writer, other):
                if end is not None:
                    end.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(4)
                size = struct.unpack(">i", head)[0]
                if not 0 < size <= MAX_FRAME:
                    writer.write(head)
                    break  # not Kafka's protocol: nothing to be read in it
                frame = await reader.readexactly(size)
                if frame[:2] == struct.pack(">h", PRODUCE):
                    self._tell(frame)
                writer.write(head + frame)
                await writer.drain()
            await _copy(reader, writer)

    def _tell(self, frame: bytes) -> None:
        """Tell the records of a Produce request; one that cannot be read is the broker's to judge."""
        now = time.time_ns()
        try:
            records = list(self._produced(frame))
        except (BrokerError, ValueError, LookupError, TypeError, struct.error):
            return
        for each in records:
            self._told(each, now)

    def _produced(self, frame: bytes) -> Iterator[RawRecord]:
        kind: Any = protocol().producer.ProduceRequest
        version = struct.unpack(">h", frame[2:4])[0]
        body = _after_header(frame, flexible=kind.flexible_version_q(version))
        request = kind.decode(memoryview(frame)[body:], version=version)
        for topic in request.topic_data:
            name = topic.name if version < BY_ID else self._name(topic.topic_id)
            for each in topic.partition_data:
                yield from kafka_admin.records_of((name, each.index), each.records)

    def _name(self, topic_id: UUID) -> str:
        if topic_id not in self._known:
            self._known = self._names()
        return self._known[topic_id]


def _after_header(frame: bytes, *, flexible: bool) -> int:
    """Return where the body of a request begins: after key, version, number, client, tags."""
    length: int = struct.unpack(">h", frame[8:10])[0]
    place = 10 + max(0, length)
    return place + 1 if flexible else place  # a header has no tags: one byte


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
