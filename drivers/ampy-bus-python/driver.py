"""Driver of the published ampy-bus for Python (PyPI `ampy-bus`), on NATS JetStream.

It calls the library's public interface, in the way of the examples that come with it, and nothing
else: no retries, no deduplication, no checks that the library does not make itself. What the library
has no function for is `unsupported`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import ampybus
import nats
import nats.errors
import nats.js.errors
import prometheus_client
from ampybus.codec import decode_payload, encode_protobuf
from ampybus.headers import Headers, new_headers
from ampybus.nats_bus import NATSBus
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

from ampy_conformance.kit import Driver as Base
from ampy_conformance.kit import Refused, from_base64
from ampy_conformance.kit.load import Loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ampy_conformance.kit.base import Frame
    from ampy_conformance.kit.load import Receiver

READY_SECONDS = 5.0
CLOSE_SECONDS = 1.0

# The library's helpers for partition keys, by domain. For the others it has none.
KEYS: dict[str, Callable[[dict[str, str]], str]] = {
    "bars": lambda key: ampybus.pk_bars(key["mic"], key["symbol"]),
    "ticks": lambda key: ampybus.pk_ticks(key["mic"], key["symbol"]),
    "news": lambda key: ampybus.pk_news_id(key["id"]),
    "fx": lambda key: ampybus.pk_fx(key["base"], key["quote"]),
    "signals": lambda key: ampybus.pk_signals(
        key["model_id"], key["symbol"], key["mic"], key["horizon"]
    ),
    "orders": lambda key: ampybus.pk_orders(key["client_order_id"]),
    "fills": lambda key: ampybus.pk_fills(key["account_id"], key["client_order_id"]),
    "positions": lambda key: ampybus.pk_positions(key["account_id"], key["symbol"], key["mic"]),
    "metrics": lambda key: ampybus.pk_metrics(key["service"], key["metric_name"]),
}

# Which error is which: the first that fits.
ERRORS: tuple[tuple[type[BaseException], str], ...] = (
    (nats.errors.MaxPayloadError, "too_large"),
    (nats.errors.BadSubjectError, "invalid_topic"),
    (nats.js.errors.NoStreamResponseError, "invalid_topic"),
    (nats.js.errors.APIError, "throttled"),
    (nats.errors.ConnectionClosedError, "not_connected"),
    (TimeoutError, "timeout"),
    (nats.errors.Error, "connection_lost"),
    (OSError, "connection_lost"),
    (ValueError, "invalid_record"),
)


class HandlerError(Exception):
    """What the handler raises where the harness says that it fails."""


@dataclass
class Serialized:
    """A payload that is bytes already; `encode_protobuf` asks a message for nothing else."""

    data: bytes

    def SerializeToString(self) -> bytes:  # noqa: N802 (protobuf's name)
        return self.data


@dataclass
class Bus:
    """One NATSBus, and a connection that only looks whether consumers are there."""

    library: NATSBus
    streams: tuple[str, ...]
    eyes: nats.NATS
    producers: set[str] = field(default_factory=set)
    subscriptions: set[str] = field(default_factory=set)


@dataclass
class Subscription:
    """The task in which the library pulls, and the verdicts its handler waits for."""

    task: asyncio.Task[None]
    verdicts: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    receiver: Receiver | None = None


class Driver(Base):
    """What `ampy-bus-python` stands for."""

    identity: ClassVar[dict[str, str]] = {
        "name": "ampy-bus-python",
        "version": version("ampy-bus"),
        "language": "python",
        "broker": "nats",
        "homepage": "https://pypi.org/project/ampy-bus/",
        "client": f"nats-py {version('nats-py')}",
    }
    profiles: ClassVar[tuple[str, ...]] = ("core", "delivery", "metrics", "nats")

    def __init__(self, emit: Callable[[Frame], None]) -> None:
        super().__init__(emit)
        self.buses: dict[str, Bus] = {}
        self.producers: dict[str, tuple[Bus, Frame]] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.numbers = itertools.count(1)
        self.closing: set[asyncio.Task[None]] = set()
        self.loads = Loads(self.emit)
        # Without a tracer the library writes zeros as trace_id. Its own init_tracer() does this,
        # and exports the spans, too.
        trace.set_tracer_provider(TracerProvider())

    # -- buses --------------------------------------------------------------------------

    async def open(self, frame: Frame) -> None:
        names = frame["names"]
        library = NATSBus(frame["url"], stream=names["stream"])
        try:
            await library.connect(tls=_tls(frame.get("tls", {})))
            await library.ensure_stream()
            eyes = await nats.connect(frame["url"], tls=_tls(frame.get("tls", {})))
        except Exception as error:
            raise Refused("not_connected", type(error).__name__) from error
        self.buses[frame["bus"]] = Bus(library, tuple(names.values()), eyes)

    async def close(self, frame: Frame) -> None:
        bus = self.buses.pop(frame["bus"], None)
        if bus is None:
            raise Refused("bad_request", "there is no such bus")
        for handle in bus.producers:
            self.producers.pop(handle, None)
        for handle in bus.subscriptions:
            await self._leave(handle)
        # The library drains, and that takes half a minute where a pull was pending: it goes on
        # behind the answer.
        closing = asyncio.create_task(_closed(bus))
        self.closing.add(closing)
        closing.add_done_callback(self.closing.discard)
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)

    async def stop(self, frame: Frame) -> None:
        self.loads.close()
        for handle in list(self.buses):
            await self.close({"bus": handle})

    def _bus(self, frame: Frame) -> Bus:
        try:
            return self.buses[frame["bus"]]
        except KeyError:
            raise Refused("bad_request", "there is no such bus") from None

    # -- producers ----------------------------------------------------------------------

    async def open_producer(self, frame: Frame) -> None:
        bus = self._bus(frame)
        self.producers[frame["producer"]] = (bus, frame)
        bus.producers.add(frame["producer"])

    async def publish(self, frame: Frame) -> Frame:
        try:
            bus, producer = self.producers[frame["producer"]]
        except KeyError:
            raise Refused("bad_request", "there is no such producer") from None
        return {"results": [await self._publish(bus, producer, each) for each in frame["records"]]}

    async def _publish(self, bus: Bus, producer: Frame, record: Frame) -> Frame:
        domain = record["schema_fqdn"].split(".")[1]
        if domain not in KEYS:
            says = f"the library has no partition key for {domain}"
            return {"outcome": "fail", "code": "unsupported", "detail": says}
        called = time.monotonic_ns()
        try:
            headers = new_headers(
                record["schema_fqdn"],
                producer["name"],
                producer["source"],
                KEYS[domain](record["key"]),
            )
            headers.run_id = producer["run_id"]
            headers.schema_version = record.get("schema_version", headers.schema_version)
            headers.dedupe_key = record.get("dedupe_key", "")
            body = record["payload"]  # bytes in a load
            if isinstance(body, str):
                body = from_base64(body)
            payload, encoding = encode_protobuf(Serialized(body))
            headers.content_encoding = encoding
            with _within(record.get("trace")):
                ack = await bus.library.publish_envelope(
                    record["topic"], headers, payload, extra_headers=record.get("headers")
                )
        except Exception as error:  # noqa: BLE001 (whatever the library raises is its answer)
            return _refused(error)
        return {
            "outcome": "ok",
            "message_id": headers.message_id,
            "position": str(ack.seq),
            "called_ns": called,
            "returned_ns": time.monotonic_ns(),
        }

    async def load_plan(self, frame: Frame) -> None:
        """Send what is due, a task for each record; or have the handler succeed at once, and stamp."""
        if "subscription" in frame:
            subscription = self.subscriptions.get(frame["subscription"])
            if subscription is None:
                raise Refused("bad_request", "there is no such subscription")
            subscription.receiver = self.loads.receive(frame)
            return
        try:
            bus, producer = self.producers[frame["producer"]]
        except KeyError:
            raise Refused("bad_request", "there is no such producer") from None

        async def publish(record: Frame) -> Frame:
            return await self._publish(bus, producer, record)

        self.loads.send(frame, publish)

    # -- consumers ----------------------------------------------------------------------

    async def subscribe(self, frame: Frame) -> Frame:
        bus, handle, group = self._bus(frame), frame["subscription"], frame["group"]
        if frame["start"] != "earliest":
            raise Refused("unsupported", "the library's consumers begin with the first record")

        async def handler(subject: str, headers: Headers, data: bytes) -> None:
            await self._handle(handle, subject, headers, data)

        task = asyncio.create_task(bus.library.subscribe_pull(frame["pattern"], group, handler))
        self.subscriptions[handle] = Subscription(task)
        bus.subscriptions.add(handle)
        await self._ready(bus, group, task)
        return {"consumers": [group]}

    async def _ready(self, bus: Bus, durable: str, task: asyncio.Task[None]) -> None:
        """Wait until the consumer is there: subscribe_pull() never says that it is ready."""
        look = bus.eyes.jetstream()
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not task.done():
            for stream in bus.streams:
                with contextlib.suppress(nats.errors.Error, TimeoutError):
                    await look.consumer_info(stream, durable)
                    return
            await asyncio.sleep(0.02)
        if task.done() and (error := task.exception()) is not None:
            raise Refused("internal", f"subscribe_pull: {type(error).__name__}: {error}")

    async def _handle(self, handle: str, subject: str, headers: Headers, data: bytes) -> None:
        """What the library calls for each record; returns where the handler succeeds."""
        subscription = self.subscriptions[handle]
        body = decode_payload(data, headers.content_encoding)
        if subscription.receiver is not None:
            subscription.receiver.delivered(body)
            return
        delivery = f"d{next(self.numbers)}"
        verdict = subscription.verdicts[delivery] = asyncio.get_running_loop().create_future()
        # The library does not tell the handler which attempt it is: calls are counted by id.
        subscription.calls[headers.message_id] += 1
        self.emit(
            "deliver",
            subscription=handle,
            delivery=delivery,
            topic=subject,
            headers=_shown(headers),
            payload=base64.b64encode(body).decode(),
            attempt=subscription.calls[headers.message_id],
            t_ns=time.monotonic_ns(),
        )
        try:
            said = await verdict
        finally:
            subscription.verdicts.pop(delivery, None)
        if said != "ack":
            raise HandlerError(said)

    async def settle(self, frame: Frame) -> Frame:
        subscription = self.subscriptions.get(frame["subscription"])
        if subscription is None:
            raise Refused("bad_request", "there is no such subscription")
        results = []
        for each in frame["verdicts"]:
            waiting = subscription.verdicts.get(each["delivery"])
            if waiting is None or waiting.done():
                result = {"ack": "fail", "code": "expired"}
            else:
                bad = each["verdict"] != "ack"
                waiting.set_result(each.get("reason", each["verdict"]) if bad else "ack")
                # The library acknowledges without waiting for the broker, and remembers nothing.
                result = {"ack": "info"}
            results.append({"delivery": each["delivery"], "recorded": False, **result})
        return {"results": results}

    async def credit(self, frame: Frame) -> None:
        """One record at a time is in the handler, whatever was granted."""

    async def unsubscribe(self, frame: Frame) -> None:
        await self._leave(frame["subscription"])

    async def _leave(self, handle: str) -> None:
        """End the pulling task, as the library's example does: it has no function for that."""
        subscription = self.subscriptions.pop(handle, None)
        if subscription is not None:
            subscription.task.cancel()
            await asyncio.gather(subscription.task, return_exceptions=True)

    # -- metrics ------------------------------------------------------------------------

    async def metrics(self, frame: Frame) -> Frame:
        """What the library's metrics server would answer."""
        return {"text": prometheus_client.generate_latest().decode()}


def _tls(files: Frame) -> ssl.SSLContext | None:
    if not files:
        return None
    found = ssl.create_default_context(cafile=files.get("ca"))
    if "cert" in files:
        found.load_cert_chain(files["cert"], files.get("key"))
    return found


async def _closed(bus: Bus) -> None:
    with contextlib.suppress(Exception):
        await bus.eyes.close()
        await bus.library.close()


@contextlib.contextmanager
def _within(parent: Frame | None) -> Iterator[None]:
    """Make a trace the active one, as the application's own span would be."""
    if parent is None:
        yield
        return
    ids = int(parent["trace_id"], 16), int(parent["span_id"], 16)
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    span = trace.NonRecordingSpan(trace.SpanContext(*ids, is_remote=True, trace_flags=flags))
    token = context.attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        context.detach(token)


def _refused(error: Exception) -> Frame:
    code = next((code for kind, code in ERRORS if isinstance(error, kind)), "internal")
    definite = code in {"too_large", "invalid_topic", "throttled", "not_connected", "invalid_record"}
    outcome = "fail" if definite else "info"
    return {"outcome": outcome, "code": code, "detail": type(error).__name__}


def _shown(headers: Headers) -> dict[str, str]:
    """Return the headers as the handler gets them: an object of the library, without what is unset."""
    found: dict[str, Any] = {each.name: getattr(headers, each.name) for each in fields(headers)}
    found["produced_at"] = headers.produced_at.isoformat()  # as the library writes it
    return {name: str(value) for name, value in found.items() if value not in ("", 0)}
