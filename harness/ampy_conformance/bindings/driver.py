"""The reference binding behind the driver protocol: buses, producers and subscriptions."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any, ClassVar

from ampy_conformance import __version__
from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.builder import EnvelopeBuilder, Identity, Invalid
from ampy_conformance.bindings.consumer import (
    Abandon,
    Ack,
    ConsumerCore,
    Deliver,
    Progress,
    WriteDead,
)
from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.retry import RetryPolicy
from ampy_conformance.bindings.store import Store
from ampy_conformance.bindings.transport import Refusal, Tuning, Unknown
from ampy_conformance.contract import load
from ampy_conformance.kit import Driver, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.consumer import Action
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.transport import Membership, Transport
    from ampy_conformance.kit.base import Frame

# Parts that a mutant may replace, each by a variation of its own.
Parts = dict[str, Any]


class Bus:
    """One connection."""

    def __init__(self, transport: Transport, tuning: Tuning, state_dir: str) -> None:
        self.transport = transport
        self.tuning = tuning
        self.state_dir = state_dir
        self.producers: set[str] = set()
        self.subscriptions: set[str] = set()


class Subscription:
    """The core of one member, with its input and output."""

    def __init__(
        self, driver: ReferenceDriver, bus: Bus, core: ConsumerCore, handle: str, store: Store
    ) -> None:
        self._driver = driver
        self._bus = bus
        self.core = core
        self._handle = handle
        self._store = store
        self.membership: Membership | None = None
        self._wake = asyncio.Event()
        self._acks: dict[int, asyncio.Task[bool]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ticker = asyncio.ensure_future(self._tick())

    def taken(self, record: Record) -> None:
        """Take a record from the broker."""
        self.act(self.core.arrived(record, time.monotonic()))

    def act(self, actions: list[Action]) -> None:
        """Carry out what the core decided, in order."""
        for each in actions:
            if isinstance(each, Deliver):
                self._deliver(each.record)
            elif isinstance(each, Ack):
                self._acks[id(each.record)] = self._start(self._ack(each.record))
            elif isinstance(each, WriteDead):
                self._start(self._bury(each))
            elif isinstance(each, Abandon):
                self._driver.emit("abandoned", subscription=self._handle, delivery=each.delivery)
            elif isinstance(each, Progress) and self.membership is not None:
                self._start(self.membership.progress(each.records))
        self._wake.set()

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _deliver(self, record: Record) -> None:
        assert record.delivery is not None
        self._driver.emit(
            "deliver",
            subscription=self._handle,
            delivery=record.delivery,
            topic=record.topic,
            headers=dict(record.headers),
            payload=base64.b64encode(record.body).decode(),
            attempt=record.attempt,
            position=record.position,
            t_ns=time.monotonic_ns(),
        )

    async def _ack(self, record: Record) -> bool:
        # A record may come before the answer to the join.
        while self.membership is None:  # noqa: ASYNC110 (rare, and over within a round trip)
            await asyncio.sleep(0.001)
        return await self.membership.ack(record)

    async def acknowledged(self, record: Record) -> bool:
        """Wait for the broker's confirmation of a record's acknowledgement."""
        task = self._acks.pop(id(record), None)
        return bool(task and await task)

    async def _bury(self, each: WriteDead) -> None:
        try:
            await self._bus.transport.publish(each.topic, each.headers, each.payload, None)
            ok = True
        except (Refusal, Unknown):
            ok = False
        self.act(self.core.dead_written(each.record, ok, time.monotonic()))

    async def _tick(self) -> None:
        while True:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.core.wake(time.monotonic()))
            self.act(self.core.tick(time.monotonic()))
            self._wake.clear()
            await asyncio.sleep(min(0.005, self.core.wake(time.monotonic())))

    async def close(self) -> None:
        """Give everything back and leave the group."""
        self._ticker.cancel()
        if self.membership is not None:
            if self._tasks:
                await asyncio.wait(list(self._tasks), timeout=1.0)
            await self.membership.give_back(self.core.held)
            await self.membership.leave()
        for each in list(self._tasks):
            each.cancel()
        self._store.close()


class ReferenceDriver(Driver):
    """The reference binding on one transport; subclasses name it."""

    profiles: ClassVar[tuple[str, ...]] = ("core", "delivery")
    capabilities: ClassVar[tuple[str, ...]] = ("durable_state", "shared_state")
    transport: ClassVar[Callable[[], Transport]]
    builder: ClassVar[type[EnvelopeBuilder]] = EnvelopeBuilder
    admission: ClassVar[type[Admission]] = Admission
    core: ClassVar[type[ConsumerCore]] = ConsumerCore
    letters: ClassVar[type[DeadLetters]] = DeadLetters
    policy: ClassVar[type[RetryPolicy]] = RetryPolicy
    store: ClassVar[type[Store]] = Store

    def __init__(self, emit: Callable[[Frame], None]) -> None:
        super().__init__(emit)
        self.contract = load()
        self.random = random.Random()
        self.buses: dict[str, Bus] = {}
        self.producers: dict[str, tuple[Bus, EnvelopeBuilder]] = {}
        self.subscriptions: dict[str, Subscription] = {}

    # -- buses --------------------------------------------------------------------------

    async def open(self, frame: Frame) -> None:
        """Connect to the broker."""
        tuning = Tuning.from_frame(frame.get("tuning", {}))
        transport = type(self).transport()
        try:
            await transport.connect(frame["url"], frame["names"], tuning)
        except (Refusal, Unknown) as error:
            raise Refused(error.code, str(error)) from error
        self.buses[frame["bus"]] = Bus(transport, tuning, frame["state_dir"])

    async def close(self, frame: Frame) -> None:
        """Close a bus with all that hangs on it."""
        bus = self.buses.pop(frame["bus"], None)
        if bus is None:
            raise Refused("bad_request", f"there is no bus {frame['bus']!r}")
        for handle in list(bus.subscriptions):
            subscription = self.subscriptions.pop(handle, None)
            if subscription is not None:
                await subscription.close()
        for handle in bus.producers:
            self.producers.pop(handle, None)
        await bus.transport.close()

    async def stop(self, frame: Frame) -> None:  # noqa: ARG002 (the kit's signature)
        """Close every bus."""
        for handle in list(self.buses):
            await self.close({"bus": handle})

    def _bus(self, frame: Frame) -> Bus:
        try:
            return self.buses[frame["bus"]]
        except KeyError:
            raise Refused("bad_request", f"there is no bus {frame['bus']!r}") from None

    # -- producers ----------------------------------------------------------------------

    async def open_producer(self, frame: Frame) -> None:
        """Open a producer with its identity."""
        bus = self._bus(frame)
        identity = Identity(frame["name"], frame["source"], frame["run_id"])
        self.producers[frame["producer"]] = (bus, type(self).builder(self.contract, identity))
        bus.producers.add(frame["producer"])

    async def publish(self, frame: Frame) -> Frame:
        """Publish records one after the other: a producer's order is the order of its calls."""
        if frame["producer"] not in self.producers:
            raise Refused("bad_request", f"there is no producer {frame['producer']!r}")
        bus, builder = self.producers[frame["producer"]]
        return {"results": [await self._publish(bus, builder, each) for each in frame["records"]]}

    async def _publish(self, bus: Bus, builder: EnvelopeBuilder, record: Frame) -> Frame:
        called = time.monotonic_ns()
        try:
            outgoing = builder.build(record)
            position = await self._send(bus, outgoing)
        except (Invalid, Refusal) as error:
            return {"outcome": "fail", "code": error.code, "detail": str(error)[:200]}
        except Unknown as error:
            return {"outcome": "info", "code": error.code, "detail": str(error)[:200]}
        return {
            "outcome": "ok",
            "message_id": outgoing.message_id,
            "position": position,
            "called_ns": called,
            "returned_ns": time.monotonic_ns(),
        }

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Send with bounded retries: the same id each time (RTY-01 to RTY-04)."""
        tuning = bus.tuning
        policy = type(self).policy(tuning.publish_attempts, tuning.backoff_base, tuning.backoff_max)
        attempt = 0
        while True:
            attempt += 1
            try:
                return await bus.transport.publish(
                    outgoing.topic, outgoing.headers, outgoing.payload, outgoing.message_id
                )
            except (Refusal, Unknown):
                if policy.exhausted(attempt):
                    raise
            await asyncio.sleep(policy.delay(attempt, self.random))

    # -- consumers ----------------------------------------------------------------------

    async def subscribe(self, frame: Frame) -> Frame:
        """Join a group."""
        bus, kind = self._bus(frame), type(self)
        tuning, handle = bus.tuning, frame["subscription"]
        store = kind.store(bus.state_dir, frame["group"])
        core = kind.core(
            kind.admission(self.contract),
            store,
            kind.policy(tuning.max_attempts, tuning.backoff_base, tuning.backoff_max),
            kind.letters(),
            self.random,
            credit=frame["credit"],
            handler_timeout=tuning.handler_timeout,
            progress_every=tuning.redelivery / 3,
            prefix=f"{handle}.",
        )
        subscription = Subscription(self, bus, core, handle, store)
        try:
            subscription.membership = await bus.transport.join(
                frame["pattern"],
                frame["group"],
                frame["member"],
                frame["start"],
                subscription.taken,
            )
        except (Refusal, Unknown) as error:
            await subscription.close()
            raise Refused(error.code, str(error)) from error
        self.subscriptions[handle] = subscription
        bus.subscriptions.add(handle)
        return {"consumers": [subscription.membership.name]}

    def _subscription(self, frame: Frame) -> Subscription:
        try:
            return self.subscriptions[frame["subscription"]]
        except KeyError:
            raise Refused(
                "bad_request", f"there is no subscription {frame['subscription']!r}"
            ) from None

    async def credit(self, frame: Frame) -> None:
        """Allow more unsettled deliveries."""
        subscription = self._subscription(frame)
        subscription.act(subscription.core.grant(frame["n"], time.monotonic()))

    async def settle(self, frame: Frame) -> Frame:
        """Take the handler's verdicts."""
        subscription = self._subscription(frame)
        results = [await self._settle(subscription, each) for each in frame["verdicts"]]
        return {"results": results}

    async def _settle(self, subscription: Subscription, verdict: Frame) -> Frame:
        delivery = verdict["delivery"]
        record, actions = subscription.core.settled(delivery, verdict["verdict"], time.monotonic())
        if record is None:
            return {"delivery": delivery, "recorded": False, "ack": "fail", "code": "expired"}
        subscription.act(actions)
        if verdict["verdict"] != "ack":
            return {"delivery": delivery, "recorded": False, "ack": "info"}
        confirmed = await subscription.acknowledged(record)
        return {"delivery": delivery, "recorded": True, "ack": "ok" if confirmed else "info"}

    async def lag(self, frame: Frame) -> Frame:
        """Return how many records this member holds that are not settled."""
        return {"lag": len(self._subscription(frame).core.held)}

    async def unsubscribe(self, frame: Frame) -> None:
        """Leave the group."""
        subscription = self._subscription(frame)
        del self.subscriptions[frame["subscription"]]
        await subscription.close()


def identity(broker: str, client: str) -> dict[str, str]:
    """Return what a reference binding says of itself."""
    return {
        "name": f"ampy-reference-{broker}",
        "version": __version__,
        "language": "python",
        "broker": broker,
        "client": client,
    }
