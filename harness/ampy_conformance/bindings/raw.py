"""Raw controls: drivers with a client library and no contract logic at all.

They are the yardstick of the load tests: what they do not achieve on a machine, no binding has to.
They send the payload with headers of the usual sizes, acknowledge what they are given, and nothing
more: no keys made, nothing checked, remembered, tried again or counted.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, ClassVar

from ampy_conformance import __version__
from ampy_conformance.bindings.memory_transport import MemoryTransport
from ampy_conformance.bindings.transport import Refusal, Tuning, Unknown, acknowledged
from ampy_conformance.kit import Driver, Loads, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.transport import Membership
    from ampy_conformance.kit import Receiver
    from ampy_conformance.kit.base import Frame

HEADERS = {
    "schema_version": "1.0.0",
    "content_type": "application/x-protobuf",
    "produced_at": "2025-09-05T19:30:00.000Z",
    "producer": "raw@1",
    "source": "raw",
    "run_id": "run_raw",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def identity(broker: str, client: str) -> dict[str, str]:
    """Return what a raw control says of itself."""
    return {
        "name": f"raw-{broker}",
        "version": __version__,
        "language": "python",
        "broker": broker,
        "client": client,
    }


class RawDriver(Driver):
    """What all raw controls share: handles, and load plans on `_send` and `_join`."""

    profiles: ClassVar[tuple[str, ...]] = ("core",)
    # The errors of the client, and those by which it says that a record is not, and will not be, stored.
    troubles: ClassVar[tuple[type[Exception], ...]] = (Refusal, Unknown)
    refusals: ClassVar[tuple[type[Exception], ...]] = (Refusal,)

    def __init__(self, emit: Callable[[Frame], None]) -> None:
        super().__init__(emit)
        self.loads = Loads(self.emit)
        self.receivers: dict[str, Receiver] = {}
        self._early: dict[str, list[bytes]] = {}
        self._ids = itertools.count(1)

    async def _connect(self, frame: Frame) -> None:
        raise NotImplementedError

    async def _send(
        self, topic: str, headers: dict[str, str], body: bytes, key: str
    ) -> asyncio.Future[Any]:
        """Send a record; what went wrong with it is raised here, or by the future."""
        raise NotImplementedError

    async def _join(self, frame: Frame, taken: Callable[[bytes], None]) -> None:
        """Call `taken` with every payload under the frame's pattern, and acknowledge it."""
        raise NotImplementedError

    async def _part(self, handle: str) -> None:
        raise NotImplementedError

    async def _leave(self) -> None:
        raise NotImplementedError

    async def open(self, frame: Frame) -> None:
        """Connect."""
        try:
            await self._connect(frame)
        except (Refusal, Unknown) as error:
            raise Refused(error.code, str(error)) from error

    async def open_producer(self, frame: Frame) -> None:
        """Need no identity."""

    async def subscribe(self, frame: Frame) -> Frame:
        """Consume and acknowledge."""
        handle = frame["subscription"]

        def taken(body: bytes) -> None:
            receiver = self.receivers.get(handle)
            if receiver is not None:
                receiver.delivered(body)
            else:  # before its plan
                self._early[handle].append(body)

        self._early[handle] = []
        await self._join(frame, taken)
        return {"consumers": [frame["group"]]}

    async def load_plan(self, frame: Frame) -> None:
        """Send, or stamp, a load."""
        if "subscription" in frame:
            handle = frame["subscription"]
            receiver = self.receivers[handle] = self.loads.receive(frame)
            for each in self._early.get(handle, ()):
                receiver.delivered(each)
            self._early[handle] = []
        else:
            self.loads.pipe(frame, self._submit, self._outcome)

    async def _submit(self, record: Frame) -> asyncio.Future[Any]:
        number = next(self._ids)
        key = ".".join(record["key"].values())
        headers = {
            **HEADERS,
            "message_id": f"01994b05-7f3a-7000-8000-{number:012x}",
            "schema_fqdn": record["schema_fqdn"],
            "partition_key": key,
        }
        try:
            return await self._send(record["topic"], headers, record["payload"], key)
        except self.troubles as error:
            failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    def _outcome(self, answer: asyncio.Future[Any]) -> str:
        """Return what became of a record: refused for certain, or nobody knows."""
        error = answer.exception()
        if error is None:
            return "ok"
        return "fail" if isinstance(error, self.refusals) else "info"

    async def unsubscribe(self, frame: Frame) -> None:
        """Consume no more."""
        await self._part(frame["subscription"])
        self.receivers.pop(frame["subscription"], None)

    async def close(self, frame: Frame) -> None:  # noqa: ARG002 (the kit's signature)
        """Disconnect."""
        await self._leave()

    async def stop(self, frame: Frame) -> None:  # noqa: ARG002 (the kit's signature)
        """Disconnect."""
        self.loads.close()
        await self._leave()


class MemoryDriver(RawDriver):
    """The memory broker knows one client, its transport; the core is left out."""

    identity: ClassVar[dict[str, str]] = identity("memory", "asyncio")

    def __init__(self, emit: Callable[[Frame], None]) -> None:
        super().__init__(emit)
        self._transport: MemoryTransport | None = None
        self._acks: set[asyncio.Task[None]] = set()

    async def _connect(self, frame: Frame) -> None:
        self._transport = MemoryTransport()
        self._members: dict[str, Membership] = {}
        await self._transport.connect(frame["url"], frame["names"], Tuning(max_in_flight=4096))

    async def _send(
        self,
        topic: str,
        headers: dict[str, str],
        body: bytes,
        key: str,  # noqa: ARG002 (the broker needs none)
    ) -> asyncio.Future[Any]:
        assert self._transport is not None
        return asyncio.ensure_future(self._transport.publish(topic, headers, body, None))

    async def _part(self, handle: str) -> None:
        member = self._members.pop(handle, None)
        if member is not None:
            await member.leave()

    async def _join(self, frame: Frame, taken: Callable[[bytes], None]) -> None:
        assert self._transport is not None
        handle = frame["subscription"]

        def record(each: Record) -> None:
            taken(each.payload)
            task = asyncio.ensure_future(self._acknowledge(handle, each))
            self._acks.add(task)
            task.add_done_callback(self._acks.discard)

        self._members[handle] = await self._transport.join(
            frame["pattern"], frame["group"], frame["member"], frame["start"], record
        )

    async def _acknowledge(self, handle: str, record: Record) -> None:
        # A record may come before the answer to the join.
        while handle not in self._members:  # noqa: ASYNC110 (rare, and over within a round trip)
            await asyncio.sleep(0.001)
        await acknowledged(self._members[handle], record)

    async def _leave(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()
