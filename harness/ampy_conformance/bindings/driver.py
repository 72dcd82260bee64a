"""The reference binding behind the driver protocol: buses, producers and subscriptions."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import random
import time
from typing import TYPE_CHECKING, Any, ClassVar

from ampy_conformance import __version__
from ampy_conformance.bindings import pressure as backpressure
from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.builder import EnvelopeBuilder, Identity, Invalid
from ampy_conformance.bindings.consumer import ConsumerCore
from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.meter import Meter
from ampy_conformance.bindings.pipeline import Pipeline
from ampy_conformance.bindings.redrive import Redrive
from ampy_conformance.bindings.replay import ReplayService
from ampy_conformance.bindings.retry import RetryPolicy
from ampy_conformance.bindings.state import States
from ampy_conformance.bindings.store import Store
from ampy_conformance.bindings.subscription import Subscription
from ampy_conformance.bindings.transport import Refusal, Tuning, Unknown
from ampy_conformance.contract import load, payloads
from ampy_conformance.kit import Driver, Loads, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.transport import Transport
    from ampy_conformance.kit import Receiver
    from ampy_conformance.kit.base import Frame

PROFILES = (
    "core",
    "delivery",
    "semantics",
    "backpressure",
    "replay",
    "metrics",
    "slo",
)


class Bus:
    """One connection in one env."""

    def __init__(
        self,
        transport: Transport,
        tuning: Tuning,
        env: str,
        state_dir: str,
        heard: backpressure.Pressure,
    ) -> None:
        self.transport = transport
        self.tuning = tuning
        self.env = env
        self.state_dir = state_dir
        self.pressure = heard
        self.producers: set[str] = set()
        self.subscriptions: set[str] = set()


class ReferenceDriver(Driver):
    """The reference binding on one transport; subclasses name it."""

    profiles: ClassVar[tuple[str, ...]] = PROFILES
    capabilities: ClassVar[tuple[str, ...]] = ("durable_state", "shared_state", "redrive")
    transport: ClassVar[Callable[[], Transport]]
    builder: ClassVar[type[EnvelopeBuilder]] = EnvelopeBuilder
    pipe: ClassVar[type[Pipeline]] = Pipeline
    admission: ClassVar[type[Admission]] = Admission
    core: ClassVar[type[ConsumerCore]] = ConsumerCore
    letters: ClassVar[type[DeadLetters]] = DeadLetters
    policy: ClassVar[type[RetryPolicy]] = RetryPolicy
    store: ClassVar[type[Store]] = Store
    states: ClassVar[type[States]] = States
    replay: ClassVar[type[ReplayService]] = ReplayService
    redriver: ClassVar[type[Redrive]] = Redrive
    meter: ClassVar[type[Meter]] = Meter
    pressure: ClassVar[type[backpressure.Pressure]] = backpressure.Pressure
    alarm: ClassVar[type[backpressure.Alarm]] = backpressure.Alarm

    def __init__(self, emit: Callable[[Frame], None]) -> None:
        super().__init__(emit)
        self.contract = load()
        self.random = random.Random()
        self.buses: dict[str, Bus] = {}
        self.producers: dict[str, tuple[Bus, EnvelopeBuilder]] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.services: dict[str, ReplayService] = {}
        self.counters = type(self).meter()
        self.loads = Loads(self.emit)
        self._receivers: dict[str, Receiver] = {}
        self._handled: dict[str, list[tuple[str, str]]] = {}

    # -- buses --------------------------------------------------------------------------

    async def open(self, frame: Frame) -> None:
        """Connect to the broker."""
        tuning = Tuning.from_frame(frame.get("tuning", {}))
        transport = type(self).transport()
        try:
            await transport.connect(frame["url"], frame["names"], tuning)
        except (Refusal, Unknown) as error:
            raise Refused(error.code, str(error)) from error
        heard = type(self).pressure(self.contract, tuning.publish_timeout)
        if tuning.lag_high:
            await transport.listen(backpressure.topic(frame["env"]), heard.hear)
        self.buses[frame["bus"]] = Bus(transport, tuning, frame["env"], frame["state_dir"], heard)

    async def close(self, frame: Frame) -> None:
        """Close a bus with all that hangs on it."""
        bus = self.buses.pop(frame["bus"], None)
        if bus is None:
            raise Refused("bad_request", f"there is no bus {frame['bus']!r}")
        for handle in list(bus.subscriptions):
            await self._leave(handle)
        for handle in bus.producers:
            self.producers.pop(handle, None)
        await bus.transport.close()

    async def stop(self, frame: Frame) -> None:  # noqa: ARG002 (the kit's signature)
        """Close every bus."""
        self.loads.close()
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
        bus, builder = self._producer(frame)
        return {"results": [await self._publish(bus, builder, each) for each in frame["records"]]}

    def _producer(self, frame: Frame) -> tuple[Bus, EnvelopeBuilder]:
        handle = frame.get("producer")
        if handle not in self.producers:
            raise Refused("bad_request", f"there is no producer {handle!r}")
        return self.producers[handle]

    def pipeline(self, producer: str) -> Pipeline:
        """Return what publishes for a producer with many records under way, in process."""
        bus, builder = self.producers[producer]
        tuning = bus.tuning
        policy = type(self).policy(tuning.publish_attempts, tuning.backoff_base, tuning.backoff_max)
        return type(self).pipe(
            bus.transport, builder, bus.pressure, policy, self.counters, self.random
        )

    async def _publish(self, bus: Bus, builder: EnvelopeBuilder, record: Frame) -> Frame:
        called = time.monotonic_ns()
        try:
            outgoing = builder.build(record)
            if bus.pressure.raised:
                await bus.pressure.gate(outgoing.topic.split(".")[2])
            position = await self._send(bus, outgoing)
        except (Invalid, Refusal) as error:
            return {"outcome": "fail", "code": error.code, "detail": str(error)[:200]}
        except Unknown as error:
            return {"outcome": "info", "code": error.code, "detail": str(error)[:200]}
        self.counters.produced(outgoing.topic, builder.identity.name, len(outgoing.payload))
        return {
            "outcome": "ok",
            "message_id": outgoing.message_id,
            "position": position,
            "called_ns": called,
            "returned_ns": time.monotonic_ns(),
        }

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Send with bounded retries: the same id each time (RTY-01 to RTY-04)."""
        publish = bus.transport.publish
        attempt = 0
        while True:
            attempt += 1
            try:
                return await publish(
                    outgoing.topic, outgoing.headers, outgoing.payload, outgoing.message_id
                )
            except (Refusal, Unknown):
                tuning = bus.tuning
                policy = type(self).policy(
                    tuning.publish_attempts, tuning.backoff_base, tuning.backoff_max
                )
                if policy.exhausted(
                    attempt, self.contract.domains[outgoing.topic.split(".")[2]].qos
                ):
                    raise
            self.counters.retried(outgoing.topic, "publish")
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
            states=kind.states(self.contract, store),
        )
        subscription = Subscription(
            self.emit,
            functools.partial(self._hand_over, handle),
            bus.transport,
            core,
            store,
            self.counters,
            handle=handle,
            pattern=frame["pattern"],
            group=frame["group"],
        )
        try:
            subscription.membership = await bus.transport.join(
                frame["pattern"],
                frame["group"],
                frame["member"],
                frame["start"],
                subscription.taken,
                subscription,
            )
        except (Refusal, Unknown) as error:
            await subscription.close()
            raise Refused(error.code, str(error)) from error
        self.subscriptions[handle] = subscription
        bus.subscriptions.add(handle)
        if tuning.lag_high:
            subscription.watch_lag(kind.alarm(tuning.lag_high, tuning.lag_low), self._signal(bus))
        return {"consumers": [subscription.membership.name]}

    def _hand_over(self, handle: str, record: Record) -> None:
        """Call the handler, which is the harness, or a load's receiver."""
        receiver = self._receivers.get(handle)
        if receiver is not None:
            receiver.delivered(record.body)
            self._take_effect(handle, record)
            return
        more = {"replay": record.replay} if record.replay else {}
        self.emit(
            "deliver",
            subscription=handle,
            delivery=record.delivery,
            topic=record.topic,
            headers=dict(record.headers),
            payload=base64.b64encode(record.body).decode(),
            attempt=record.attempt,
            position=record.position,
            # From before the look whether it was seen: another member may be at it as well.
            t_ns=int(record.delivered_at * 1e9),
            **more,
        )

    def _take_effect(self, handle: str, record: Record) -> None:
        """Acknowledge a load's record, together with the others of this turn of the loop."""
        assert record.delivery is not None
        verdicts = self._handled.setdefault(handle, [])
        verdicts.append((record.delivery, "ack"))
        if len(verdicts) == 1:
            asyncio.get_running_loop().call_soon(self._settle_handled, handle)

    def _settle_handled(self, handle: str) -> None:
        verdicts, subscription = self._handled.pop(handle), self.subscriptions.get(handle)
        if subscription is None:
            return  # it has left
        for record, _ in subscription.settle(verdicts, waits=False):
            if record is not None:
                self.counters.consumed(record.topic, subscription.group)

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
        subscription.grant(frame["n"])

    async def settle(self, frame: Frame) -> Frame:
        """Take the handler's verdicts."""
        subscription = self._subscription(frame)
        settled = subscription.settle(
            [(each["delivery"], each["verdict"]) for each in frame["verdicts"]]
        )
        for (record, _), each in zip(settled, frame["verdicts"], strict=True):
            if record is not None and each["verdict"] == "ack":
                self.counters.consumed(record.topic, subscription.group)
        results = [
            await _told(each, *one) for each, one in zip(frame["verdicts"], settled, strict=True)
        ]
        return {"results": results}

    def _signal(self, bus: Bus) -> Callable[[str, int, bool], Any]:
        """Return how a consumer of this bus tells that it is behind, or no longer."""
        builder = type(self).builder(
            self.contract, Identity(backpressure.SERVICE, backpressure.SERVICE, "backpressure")
        )
        build = payloads.types(self.contract).build

        async def signal(consumer: str, lag: int, raised: bool) -> None:
            body = build(backpressure.SCHEMA, backpressure.signal(consumer, lag, raised=raised))
            record = {
                "topic": backpressure.topic(bus.env),
                "schema_fqdn": backpressure.SCHEMA,
                "payload": base64.b64encode(body.SerializeToString()).decode(),
                "key": {"service": backpressure.SERVICE, "metric_name": backpressure.METRIC},
            }
            each = builder.build(record)
            await bus.transport.publish(each.topic, each.headers, each.payload, each.message_id)

        return signal

    async def load_plan(self, frame: Frame) -> None:
        """Send, or acknowledge, a load and stamp it."""
        if "subscription" in frame:
            self._subscription(frame)
            self._receivers[frame["subscription"]] = self.loads.receive(frame)
            return
        bus, _ = self._producer(frame)
        pipeline = self.pipeline(frame["producer"])

        async def waiting(record: Frame) -> str:
            return await (await pipeline.submit(record))

        async def submit(record: Frame) -> asyncio.Future[str]:
            # A record that waits for slow consumers must not hold up those that need not wait.
            if bus.pressure.raised:
                return asyncio.ensure_future(waiting(record))
            try:
                return await pipeline.submit(record)
            except (Invalid, Refusal) as error:
                return _failed(error)

        self.loads.pipe(frame, submit, _outcome)

    async def lag(self, frame: Frame) -> Frame:
        """Return how many records wait for the group, and whether producers are told so."""
        subscription = self._subscription(frame)
        try:
            waiting = await subscription.lag()
        except (Refusal, Unknown) as error:
            raise Refused(error.code, str(error)) from error
        raised = subscription.alarm is not None and subscription.alarm.raised
        return {"lag": waiting, "signalled": raised}

    async def checkpoint(self, frame: Frame) -> Frame:
        """Return the highest settled position of every key."""
        return {"watermarks": self._subscription(frame).store.watermarks()}

    async def query(self, frame: Frame) -> Frame:
        """Return the state that the group's consumer holds of an entity."""
        states = self._subscription(frame).core.states
        assert states is not None
        return {"state": states.query(frame["domain"], frame["key"])}

    async def metrics(self, frame: Frame) -> Frame:  # noqa: ARG002 (the kit's signature)
        """Return the metrics of this process, the lags as they are now."""
        for each in list(self.subscriptions.values()):
            with contextlib.suppress(Refusal, Unknown):
                await each.lag()
        return {"text": self.counters.text()}

    async def serve_replay(self, frame: Frame) -> None:
        """Answer ReplayRequests on the control topic for a subscription."""
        bus, subscription = self._bus(frame), self._subscription(frame)
        kind, handle = type(self), frame["subscription"]
        service = kind.replay(
            self.contract,
            bus.env,
            bus.transport,
            subscription,
            subscription.store,
            kind.admission(self.contract),
        )
        try:
            await service.begin(
                subscription.group, handle, subscription.pattern, bus.tuning.redelivery / 3
            )
        except (Refusal, Unknown) as error:
            await service.close()
            raise Refused(error.code, str(error)) from error
        self.services[handle] = service

    async def redrive(self, frame: Frame) -> Frame:
        """Send dead letters back to their topics."""
        bus = self._bus(frame)
        try:
            done = await type(self).redriver().run(bus.transport, frame["pattern"], frame["limit"])
        except (Refusal, Unknown) as error:
            raise Refused(error.code, str(error)) from error
        return {"redriven": done}

    async def unsubscribe(self, frame: Frame) -> None:
        """Leave the group."""
        self._subscription(frame)
        await self._leave(frame["subscription"])

    async def _leave(self, handle: str) -> None:
        service = self.services.pop(handle, None)
        if service is not None:
            await service.close()
        self._receivers.pop(handle, None)
        subscription = self.subscriptions.pop(handle, None)
        if subscription is not None:
            await subscription.close()


async def _told(
    verdict: Frame, record: Record | None, confirmed: asyncio.Future[bool] | None
) -> Frame:
    """Return what the harness is told of a verdict."""
    told: Frame = {"delivery": verdict["delivery"], "recorded": False}
    if record is None:
        return {**told, "ack": "fail", "code": "expired"}
    if verdict["verdict"] != "ack":
        return {**told, "ack": "info"}
    done = confirmed is not None and await confirmed
    return {**told, "recorded": True, "ack": "ok" if done else "info"}


def _failed(error: Exception) -> asyncio.Future[str]:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def _outcome(stored: asyncio.Future[str]) -> str:
    """Return what became of a record of a load: `ok`, `fail` or, where nobody knows, `info`."""
    error = stored.exception()
    if error is None:
        return "ok"
    return "fail" if isinstance(error, Invalid | Refusal) else "info"


def identity(broker: str, client: str) -> dict[str, str]:
    """Return what a reference binding says of itself."""
    return {
        "name": f"ampy-reference-{broker}",
        "version": __version__,
        "language": "python",
        "broker": broker,
        "client": client,
    }
