"""The memory broker as a transport; its wire protocol is told in `broker/memory_server.py`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ampy_conformance.bindings.records import Record
from ampy_conformance.bindings.transport import Refusal, Unknown, stream_of
from ampy_conformance.contract import topics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ampy_conformance.bindings.transport import Confirmed, Hear, Shifts, Stored, Tuning

MAX_LINE = 8 * 1024 * 1024
CODES = {"no_stream": "invalid_topic", "bad_topic": "invalid_topic", "too_large": "too_large"}


class MemoryTransport:
    """One connection to a lane of the memory broker."""

    async def connect(self, url: str, names: Mapping[str, str], tuning: Tuning) -> None:
        """Connect and say hello."""
        parts = urlsplit(url)
        self._names = names
        self._tuning = tuning
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._members: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._listeners: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[str]] = set()
        try:
            self._reader, self._writer = await asyncio.open_connection(
                parts.hostname, parts.port, limit=MAX_LINE
            )
        except OSError as error:
            raise Unknown("not_connected", "the memory broker does not answer") from error
        self._task = asyncio.ensure_future(self._listen())
        await self.call("hello", lane=parts.path.lstrip("/"), token=parts.username)

    async def call(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer; raises `Refusal` or `Unknown`."""
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._writer.write(json.dumps({"id": number, "op": op, **fields}).encode() + b"\n")
        try:
            answer: dict[str, Any] = await asyncio.wait_for(future, self._tuning.publish_timeout)
        except TimeoutError as error:
            raise Unknown("timeout", f"{op} was not answered") from error
        finally:
            self._waiting.pop(number, None)
        if not answer["ok"]:
            code = answer["code"]
            raise Refusal(CODES.get(code, "throttled" if code == "full" else "denied"), code)
        return answer

    async def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await self._reader.readline():
                frame = json.loads(line)
                if "event" in frame:
                    member = self._members.get(frame.get("consumer", ""))
                    if member is not None:
                        member(frame)
                elif (future := self._waiting.get(frame["re"])) and not future.done():
                    future.set_result(frame)
        for each in self._waiting.values():
            if not each.done():
                each.set_exception(Unknown("connection_lost", "the memory broker is gone"))

    async def publish(
        self,
        topic: str,
        headers: Mapping[str, str],
        payload: bytes,
        message_id: str | None,  # noqa: ARG002 (the transport's signature)
    ) -> str:
        """Store a record; the memory broker deduplicates nothing, so the id is not told apart."""
        answer = await self.call(
            "publish",
            topic=topic,
            headers=[[name, value] for name, value in headers.items()],
            payload=base64.b64encode(payload).decode(),
        )
        return str(answer["position"])

    async def send(
        self,
        topic: str,
        headers: Mapping[str, str],
        payload: bytes,
        message_id: str | None,
        answered: Stored,
    ) -> None:
        """Publish in the background; requests leave in the order in which they were begun."""

        def heard(work: asyncio.Task[str]) -> None:
            self._sending.discard(work)
            if not work.cancelled():
                error = work.exception()
                answered(error if isinstance(error, Exception) else work.result())

        work = asyncio.ensure_future(self.publish(topic, headers, payload, message_id))
        self._sending.add(work)
        work.add_done_callback(heard)

    async def join(
        self,
        pattern: str,
        group: str,
        member: str,
        start: str,
        taken: Callable[[Record], None],
        shifts: Shifts | None = None,  # noqa: ARG002 (one member is served at a time)
    ) -> MemoryMembership:
        """Join a durable group of the stream that carries the pattern."""
        stream = self._names[stream_of(pattern)]
        membership = MemoryMembership(self, f"c{next(self._numbers)}", group, taken)
        self._members[membership.handle] = membership.event
        await self.call(
            "join",
            stream=stream,
            group=group,
            patterns=[pattern],
            start=start,
            member=member,
            consumer=membership.handle,
            redelivery_ms=int(self._tuning.redelivery * 1000),
            max_pending=self._tuning.max_in_flight,
        )
        return membership

    async def read(
        self,
        pattern: str,
        since: float | None = None,  # noqa: ARG002 (this log is short, and knows no times)
    ) -> list[Record]:
        """Read the log from its start to where it ends now."""
        return await self._read(pattern, "0")

    async def _read(self, pattern: str, after: str) -> list[Record]:
        found: list[Record] = []
        last: int | None = None
        while True:
            answer = await self.call(
                "read", stream=self._names[stream_of(pattern)], after=after, max=500
            )
            last = int(answer["last"]) if last is None else last
            found += [
                record_of(each)
                for each in answer["records"]
                if int(each["position"]) <= last and topics.matches(pattern, each["topic"])
            ]
            if not answer["records"] or int(answer["records"][-1]["position"]) >= last:
                return found
            after = answer["records"][-1]["position"]

    async def listen(self, topic: str, hear: Hear) -> None:
        """Look into the log again and again: this broker has no subscriptions without a group."""
        answer = await self.call("read", stream=self._names["stream"], after="0", max=1)

        async def follow(after: str) -> None:
            while True:
                for each in await self._read(topic, after):
                    hear(each.topic, each.headers, each.payload)
                    after = each.position
                await asyncio.sleep(0.1)

        self._listeners.append(asyncio.ensure_future(follow(answer["last"])))

    def forget(self, handle: str) -> None:
        """Stop listening for a member."""
        self._members.pop(handle, None)

    async def close(self) -> None:
        """Disconnect; what is open goes to another member."""
        for each in self._listeners:
            each.cancel()
        self._task.cancel()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class MemoryMembership:
    """A membership in a group of the memory broker."""

    def __init__(
        self, transport: MemoryTransport, handle: str, group: str, taken: Callable[[Record], None]
    ) -> None:
        self._transport = transport
        self.handle = handle
        self.name = group
        self._taken = taken

    def event(self, frame: dict[str, Any]) -> None:
        """Take a delivery."""
        if frame["event"] == "deliver":
            self._taken(record_of(frame))

    async def _tell(self, op: str, records: Sequence[Record], **fields: Any) -> bool:
        positions = [each.position for each in records]
        try:
            await self._transport.call(op, consumer=self.handle, positions=positions, **fields)
        except (Refusal, Unknown):
            return False
        return True

    async def ack(self, records: Sequence[Record], confirmed: Confirmed) -> None:
        """Acknowledge records in one request."""
        done = await self._tell("ack", records)
        for each in records:
            confirmed(each, done)

    async def lag(self) -> int:
        """Return what is not delivered yet, plus what is delivered and not acknowledged."""
        answer = await self._transport.call("groups")
        mine = next(each for each in answer["groups"] if each["group"] == self.name)
        return int(mine["pending"]) + int(mine["pending_acks"])

    async def progress(self, records: Sequence[Record]) -> None:
        """Begin the redelivery time of these records anew."""
        await self._tell("in_progress", records)

    async def give_back(self, records: Sequence[Record]) -> None:
        """Return records at once."""
        if records:
            await self._tell("nak", records, delay_ms=0)

    async def leave(self) -> None:
        """Leave the group."""
        self._transport.forget(self.handle)
        with contextlib.suppress(Refusal, Unknown):
            await self._transport.call("leave", consumer=self.handle)


def record_of(frame: Mapping[str, Any]) -> Record:
    """Return the record of a delivery, or of a line of the log."""
    return Record(
        position=str(frame["position"]),
        topic=frame["topic"],
        headers=dict(frame["headers"]),
        payload=base64.b64decode(frame["payload"]),
        redelivered=frame.get("attempt", 1) - 1,
    )
