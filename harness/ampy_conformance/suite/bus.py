"""Handles on the binding under test: bus, producer, subscription.

They speak the driver protocol, keep what happened in the history, and judge nothing.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampy_conformance.driver import DriverDied, DriverRefused
from ampy_conformance.suite.scrape import Scrape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.driver import Driver
    from ampy_conformance.history import Recorder

    Handler = Callable[["Delivery"], str | None]


@dataclass(frozen=True)
class Published:
    """What the binding said of one publish: outcome is ok, fail or info."""

    sample: Sample
    outcome: str
    code: str | None
    message_id: str | None
    position: str | None
    called: float
    returned: float


@dataclass
class Delivery:
    """One handler invocation as the harness saw it; `verdict` None means: still hanging."""

    order: int
    handle: str
    subscription: str
    topic: str
    headers: Mapping[str, str]
    digest: str
    size: int
    attempt: int
    position: str | None
    at: float
    verdict: str | None = None
    settled_order: int | None = None
    recorded: bool = False
    ack: str | None = None
    answered: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """Return a header as the handler got it, whatever the case of its name."""
        for each, value in self.headers.items():
            if each.lower() == name:
                return value
        return None


def always_ack(_: Delivery) -> str:
    """Handle every delivery successfully."""
    return "ack"


class Handles:
    """Names for buses, producers and subscriptions that are unique in one driver process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0

    def new(self, prefix: str) -> str:
        """Return a fresh handle."""
        with self._lock:
            self._next += 1
            return f"{prefix}{self._next}"


class Producer:
    """A producer handle of the binding."""

    def __init__(self, bus: Bus, handle: str, name: str, source: str, run_id: str) -> None:
        self._bus = self.bus = bus
        self.handle = handle
        self.name = name
        self.source = source
        self.run_id = run_id
        self._pseq: dict[str, int] = {}
        self._one = threading.Lock()

    def publish(
        self,
        *samples: Sample,
        trace: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[Published]:
        """Publish in call order and return what the binding said of each.

        A driver that dies in between leaves every record of the call at `info`. Threads take turns:
        what is numbered first is also sent first, or the order of a key would be anybody's guess.
        """
        with self._one:
            return self._publish(samples, trace, headers)

    def _publish(
        self,
        samples: Sequence[Sample],
        trace: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> list[Published]:
        records = [_record(each, trace, headers) for each in samples]
        uids = [self._invoked(each) for each in samples]
        called = time.time()
        try:
            answer = self._bus.driver.request("publish", producer=self.handle, records=records)
            results: Sequence[Mapping[str, Any]] = answer["results"]
        except DriverRefused as refusal:
            outcome = "fail" if refusal.definite else "info"
            results = [{"outcome": outcome, "code": refusal.code}] * len(samples)
        except DriverDied:
            for uid, each in zip(uids, samples, strict=True):
                self._bus.history.add(
                    "info", uid=uid, producer=self.handle, body_hash=each.digest, topic=each.topic
                )
            raise
        returned = time.time()
        if len(results) != len(samples):
            raise DriverDied(
                f"the driver answered {len(results)} results for {len(samples)} published records"
            )
        found = []
        for uid, sample, result in zip(uids, samples, results, strict=True):
            found.append(
                Published(
                    sample=sample,
                    outcome=result["outcome"],
                    code=result.get("code"),
                    message_id=result.get("message_id"),
                    position=result.get("position"),
                    called=called,
                    returned=returned,
                )
            )
            self._bus.history.add(
                result["outcome"],
                actor=self._bus.actor,
                uid=uid,
                topic=sample.topic,
                producer=self.handle,
                message_id=result.get("message_id"),
                position=result.get("position"),
                body_hash=sample.digest,
                detail={"code": result["code"]} if result.get("code") else {},
            )
        return found

    def _invoked(self, sample: Sample) -> str:
        key = sample.partition_key
        pseq = self._pseq[key] = self._pseq.get(key, -1) + 1
        uid = f"{self.handle}/{key}/{pseq}"
        self._bus.history.add(
            "invoke",
            uid=uid,
            topic=sample.topic,
            key=key,
            dedupe_key=sample.dedupe_key,
            producer=self.handle,
            pseq=pseq,
            body_hash=sample.digest,
        )
        return uid


def _record(
    sample: Sample, trace: Mapping[str, str] | None, headers: Mapping[str, str] | None
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "topic": sample.topic,
        "schema_fqdn": sample.schema_fqdn,
        "schema_version": sample.schema_version,
        "payload": base64.b64encode(sample.payload).decode(),
        "key": dict(sample.key),
    }
    if sample.dedupe_key is not None:
        record["dedupe_key"] = sample.dedupe_key
    if trace:
        record["trace"] = dict(trace)
    if headers:
        record["headers"] = dict(headers)
    return record


class Subscription:
    """A subscription of the binding; the harness is its handler."""

    def __init__(
        self, bus: Bus, handle: str, group: str, handler: Handler, told_group: str
    ) -> None:
        self._bus = bus
        self.handle = handle
        self.group = group
        self.told_group = told_group
        self.handler = handler
        self.changed = threading.Condition()
        self.deliveries: list[Delivery] = []
        self.abandoned: list[str] = []
        self._settled = 0
        self.consumers: tuple[str, ...] = ()
        self._waiting: dict[str, Delivery] = {}

    def on_event(self, frame: Mapping[str, Any]) -> None:
        """Take one event frame of this subscription; called in order by the driver."""
        if frame["event"] == "deliver":
            self._deliver(frame)
        elif frame["event"] == "abandoned":
            with self.changed:
                self.abandoned.append(frame["delivery"])
                self.changed.notify_all()
            self._bus.history.add("abandoned", subscription=self.handle, delivery=frame["delivery"])

    def _deliver(self, frame: Mapping[str, Any]) -> None:
        body = base64.b64decode(frame["payload"])
        with self.changed:
            delivery = Delivery(
                order=len(self.deliveries),
                handle=frame["delivery"],
                subscription=self.handle,
                topic=frame["topic"],
                headers=dict(frame["headers"]),
                digest=hashlib.sha256(body).hexdigest(),
                size=len(body),
                attempt=frame["attempt"],
                position=frame.get("position"),
                at=time.monotonic(),
            )
            self.deliveries.append(delivery)
            self._waiting[delivery.handle] = delivery
        self._bus.history.add(
            "deliver",
            actor=self._bus.actor,
            group=self.group,
            subscription=self.handle,
            delivery=delivery.handle,
            topic=delivery.topic,
            message_id=delivery.header("message_id"),
            dedupe_key=delivery.header("dedupe_key"),
            key=delivery.header("partition_key"),
            attempt=delivery.attempt,
            position=delivery.position,
            body_hash=delivery.digest,
            detail=self._facts(frame),
        )
        verdict = self.handler(delivery)
        if verdict is not None:
            self.settle(delivery, verdict)
        with self.changed:
            self.changed.notify_all()

    def _facts(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """Return what else a delivery tells; its stamp only where the driver's clock is ours."""
        facts = {"replay": frame["replay"]} if "replay" in frame else {}
        stamped = self._bus.clock_trusted and "t_ns" in frame
        return facts | ({"started_ns": frame["t_ns"]} if stamped else {})

    def apply(self, delivery: Delivery, verdict: str = "ack") -> None:
        """Let the handler come to its verdict without telling the binding: a point to be killed at."""
        with self.changed:
            delivery.verdict = verdict
            delivery.settled_order = self._settled
            self._settled += 1
            self._waiting.pop(delivery.handle, None)
        self._bus.history.add(
            "effect" if verdict == "ack" else "settle",
            actor=self._bus.actor,
            group=self.group,
            subscription=self.handle,
            delivery=delivery.handle,
            body_hash=delivery.digest,
            detail={"verdict": verdict},
        )

    def settle(self, delivery: Delivery, verdict: str) -> None:
        """Give the handler's verdict on a delivery; the answer is taken when it comes."""
        self.apply(delivery, verdict)
        pending = self._bus.driver.send(
            "settle",
            subscription=self.handle,
            verdicts=[{"delivery": delivery.handle, "verdict": verdict, "reason": "handler_error"}]
            if verdict != "ack"
            else [{"delivery": delivery.handle, "verdict": verdict}],
        )
        pending.on_done(lambda answer: self._answered(delivery, answer))

    def _answered(self, delivery: Delivery, answer: Mapping[str, Any] | None) -> None:
        """Note the driver's answer to a settle; None when it refused or died."""
        result: Mapping[str, Any] = (answer or {"results": [{}]})["results"][0]
        with self.changed:
            delivery.recorded = bool(result.get("recorded"))
            delivery.ack = result.get("ack")
            delivery.answered = True
            self.changed.notify_all()
        self._bus.history.add(
            "settled",
            group=self.group,
            subscription=self.handle,
            delivery=delivery.handle,
            detail={"recorded": delivery.recorded, "ack": delivery.ack},
        )

    def serve_replay(self) -> None:
        """Let the binding answer ReplayRequests on the control topic for this subscription."""
        self._bus.driver.request("serve_replay", bus=self._bus.handle, subscription=self.handle)

    def lag(self) -> tuple[int, bool]:
        """Return the lag that the binding tells, and whether it signals it to producers."""
        answer = self._bus.driver.request("lag", subscription=self.handle)
        return answer["lag"], bool(answer.get("signalled"))

    def checkpoint(self) -> dict[str, str]:
        """Return the high-watermarks that the binding keeps, by key or partition."""
        answer = self._bus.driver.request("checkpoint", subscription=self.handle)
        return dict(answer["watermarks"])

    def query(self, sample: Sample) -> dict[str, Any] | None:
        """Return the state that the binding's consumer holds of this record's entity."""
        answer = self._bus.driver.request(
            "query", subscription=self.handle, domain=sample.domain, key=sample.partition_key
        )
        state: dict[str, Any] | None = answer["state"]
        return state

    def grant(self, count: int) -> None:
        """Allow so many more unsettled deliveries."""
        self._bus.driver.request("credit", subscription=self.handle, n=count)
        self._bus.history.add("mark", subscription=self.handle, detail={"credit": count})

    def hanging(self) -> list[Delivery]:
        """Return the deliveries that have no verdict yet."""
        with self.changed:
            return list(self._waiting.values())

    def of(self, digest: str) -> list[Delivery]:
        """Return the deliveries of the record with this body digest, in order."""
        with self.changed:
            return [each for each in self.deliveries if each.digest == digest]

    def handled(self, digest: str) -> bool:
        """Tell whether the record took effect and the binding answered the verdict."""
        return any(each.verdict == "ack" and each.answered for each in self.of(digest))

    def first_order(self, digests: Iterable[str]) -> list[str]:
        """Return the given digests in the order of their first deliveries."""
        wanted = set(digests)
        with self.changed:
            seen = [each.digest for each in self.deliveries if each.digest in wanted]
        return list(dict.fromkeys(seen))

    def effect_order(self, digests: Iterable[str]) -> list[str]:
        """Return the given digests in the order in which they first took effect."""
        wanted = set(digests)
        with self.changed:
            acked = [
                each
                for each in self.deliveries
                if each.verdict == "ack"
                and each.digest in wanted
                and each.settled_order is not None
            ]
        acked.sort(key=lambda each: each.settled_order or 0)
        return list(dict.fromkeys(each.digest for each in acked))

    @property
    def alive(self) -> bool:
        """Tell whether the process behind this subscription still runs."""
        return self._bus.driver.alive

    def wait_change(self, seconds: float) -> None:
        """Sleep until something happens on this subscription, at most `seconds`."""
        with self.changed:
            self.changed.wait(seconds)

    def leave(self) -> None:
        """Unsubscribe; what is unsettled goes back to the group."""
        self._bus.driver.request("unsubscribe", subscription=self.handle)
        self._bus.subscriptions.pop(self.handle, None)


class Bus:
    """An open connection of the binding."""

    def __init__(
        self,
        driver: Driver,
        handle: str,
        history: Recorder,
        handles: Handles,
        *,
        clock_trusted: bool = False,
        told_group: Callable[[str], str] = str,
    ) -> None:
        self.driver = driver
        self._told_group = told_group
        self.clock_trusted = clock_trusted
        self.handle = handle
        self.history = history
        self._handles = handles
        self.actor = f"driver-{driver.pid or 0}/{driver.incarnation}"
        self.subscriptions: dict[str, Subscription] = {}

    def producer(
        self, name: str = "conformance@1", source: str = "conformance", run_id: str = "run_1"
    ) -> Producer:
        """Open a producer with this identity."""
        handle = self._handles.new("p")
        self.driver.request(
            "open_producer",
            bus=self.handle,
            producer=handle,
            name=name,
            source=source,
            run_id=run_id,
        )
        return Producer(self, handle, name, source, run_id)

    def subscribe(
        self,
        pattern: str,
        *,
        group: str = "group-1",
        member: str = "member-1",
        handler: Handler = always_ack,
        start: str = "earliest",
        credit: int = 256,
    ) -> Subscription:
        """Join a consumer group; returns when the binding says that it is ready.

        The binding is told the name that the group has in this lane.
        """
        handle = self._handles.new("s")
        subscription = Subscription(self, handle, group, handler, self._told_group(group))
        self.subscriptions[handle] = subscription
        self.driver.on_event(handle, subscription.on_event)
        answer = self.driver.request(
            "subscribe",
            bus=self.handle,
            subscription=handle,
            pattern=pattern,
            group=subscription.told_group,
            member=member,
            start=start,
            credit=credit,
        )
        subscription.consumers = tuple(answer.get("consumers", ()))
        detail = {"subscribed": pattern, "start": start, "credit": credit}
        self.history.add("mark", actor=self.actor, group=group, subscription=handle, detail=detail)
        return subscription

    def scrape(self) -> Scrape:
        """Return the binding's metrics as they are now."""
        return Scrape.of(self.driver.request("metrics"))

    def redrive(self, pattern: str, limit: int = 1) -> int:
        """Let the binding send dead letters back to their topics; returns how many it says it did."""
        answer = self.driver.request("redrive", bus=self.handle, pattern=pattern, limit=limit)
        done = int(answer["redriven"])
        self.history.add("mark", actor=self.actor, topic=pattern, detail={"redriven": done})
        return done

    def close(self) -> None:
        """Close the bus with all that hangs on it."""
        self.driver.request("close", bus=self.handle)
