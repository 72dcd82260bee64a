"""The lab: what a conformance test gets, and the only way in which it judges.

A test builds samples, opens buses on the binding, injects raw records, waits, and calls
`equal`, `true` or `must`. These name the clause; a clause of the test's marker that was
never judged makes the case an error, so that no test can pass without having looked.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract import encoding, samples
from ampy_conformance.driver import DriverError, DriverRefused
from ampy_conformance.history import Recorder
from ampy_conformance.suite.bus import Bus, Delivery, Published, Subscription, always_ack
from ampy_conformance.suite.verdicts import ClauseFailed, Inconclusive, NotClaimed, NotRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ampy_conformance.broker import Lane, Observer, WireRecord
    from ampy_conformance.contract.envelope import Envelope
    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.driver import Driver
    from ampy_conformance.suite.bus import Handler
    from ampy_conformance.suite.session import Session

# Short enough that a run with failures ends, long enough that a healthy binding on a busy
# two-core machine is never late: the slowest legal path (three attempts, one redelivery)
# takes about 1.5 s with this tuning.
PATIENCE = 6.0
# A control decides nothing but whether a case can be judged at all. Once three have failed
# in a run, the binding is as good as dead and the rest need not wait as long.
CONTROL_PATIENCE = 10.0
LOST_CONTROL_PATIENCE = 1.0
CONTROLS_TO_LOSE = 3
# A raw round trip on a healthy broker takes 1-5 ms; a second means that the machine is
# not fit to judge anything by waiting.
FIT_ROUND_TRIP = 1.0

TUNING: dict[str, int] = {
    "max_attempts": 3,
    "backoff_base_ms": 40,
    "backoff_max_ms": 400,
    "publish_attempts": 3,
    "publish_timeout_ms": 2000,
    "max_in_flight": 256,
    "handler_timeout_ms": 30000,
    "redelivery_ms": 1200,
}


class Lab:
    """One test's workplace: an isolated lane on the broker and a recorder."""

    def __init__(self, session: Session, *, source: str = "lab") -> None:
        self.session = session
        self.contract = session.contract
        self.history = Recorder()
        self.checked: dict[str, bool] = {}
        self.warned: dict[str, str] = {}
        self.controlled = False
        self.observations: list[str] = []
        self._source = source
        self._buses: list[Bus] = []
        self._drivers: list[Driver] = []
        self._lane: Lane | None = None
        self._wire: Observer | None = None

    # -- the broker ---------------------------------------------------------------------

    @property
    def lane(self) -> Lane:
        """The isolated part of the broker that belongs to this test."""
        if self._lane is None:
            assert self.session.broker is not None
            self._lane = self.session.broker.lane()
        return self._lane

    @property
    def wire(self) -> Observer:
        """The raw observer of this lane: ground truth, whatever the binding says."""
        if self._wire is None:
            self._wire = self.lane.observe()
        return self._wire

    def on_wire(self, sample: Sample, *, dead: bool = False) -> list[WireRecord]:
        """Return the stored records (live ones, or dead letters) that carry this sample's body."""
        return [each for each in self.stored(dead=dead) if body_digest(each) == sample.digest]

    def stored(self, *, dead: bool = False) -> list[WireRecord]:
        """Return what the broker has stored, from its start: live records or dead letters."""
        return [each for each in self.wire.records() if _is_dead(each) is dead]

    def inject(
        self, sample: Sample, /, *, drop: Sequence[str] = (), payload: bytes | None = None, **headers: str
    ) -> Envelope:
        """Publish a valid envelope of `sample` raw, with the given faults, and return it.

        `headers` override or add, `drop` removes, `payload` replaces the bytes on the wire.
        """
        envelope = samples.envelope(sample, **headers)
        faulty = {name: value for name, value in envelope.headers.items() if name not in drop}
        return self.inject_raw(
            envelope.topic, faulty, envelope.payload or b"" if payload is None else payload
        )

    def inject_raw(self, topic: str, headers: Mapping[str, str], payload: bytes) -> Envelope:
        """Publish these bytes under these headers with the raw client, and return them."""
        from ampy_conformance.contract.envelope import Envelope  # noqa: PLC0415 (only here)

        position = self.wire.publish(topic, headers, payload)
        envelope = Envelope(topic=topic, headers=dict(headers), payload=payload)
        self.history.add(
            "inject",
            topic=topic,
            message_id=headers.get("message_id"),
            dedupe_key=headers.get("dedupe_key"),
            key=headers.get("partition_key"),
            position=position,
        )
        return envelope

    # -- the binding --------------------------------------------------------------------

    def sample(self, domain: str = "bars", **options: Any) -> Sample:
        """Return a logical record whose payload is unique in this run."""
        return self.session.samples.record(domain, **options)

    def series(self, count: int, domain: str = "bars", **options: Any) -> list[Sample]:
        """Return `count` records of one entity, in order."""
        return [self.sample(domain, **options) for _ in range(count)]

    def bus(
        self,
        *,
        env: str = "dev",
        driver: Driver | None = None,
        state_dir: str | None = None,
        **tuning: int,
    ) -> Bus:
        """Open a bus of the binding on this test's lane."""
        process = driver or self.session.pooled()
        handle = self.session.handles.new("b")
        observer = self.wire  # the tap has to listen before the binding can speak
        assert observer is not None
        process.request(
            "open",
            bus=handle,
            url=self.lane.url,
            env=env,
            state_dir=state_dir or self.session.state_dir(),
            names=dict(self.lane.names),
            tuning={**TUNING, **tuning},
        )
        bus = Bus(process, handle, self.history, self.session.handles)
        self._buses.append(bus)
        return bus

    def fresh_driver(self) -> Driver:
        """Start a process of the binding that this test may kill."""
        driver = self.session.fresh()
        self._drivers.append(driver)
        if not driver.can_kill:
            raise NotRun("kill: the driver is attached over tcp:, only a spawned one can be killed")
        return driver

    def respawn(self, driver: Driver) -> Driver:
        """Start a killed process of the binding again, with the same arguments."""
        again = self.session.respawn(driver)
        self._drivers.append(again)
        return again

    def needs(self, *capabilities: str) -> None:
        """End the case as not claimed where the binding lacks a capability."""
        missing = [each for each in capabilities if each not in self.session.hello.capabilities]
        if missing:
            raise NotClaimed(f"the binding does not declare the capability {', '.join(missing)}")

    def publish(self, bus: Bus, *wanted: Sample, **options: Any) -> list[Published]:
        """Publish through a new producer of `bus`; every record must be acknowledged (a control)."""
        results = bus.producer().publish(*wanted, **options)
        refused = [each for each in results if each.outcome != "ok"]
        self.control(not refused, f"{len(refused)} of {len(results)} valid records were not acknowledged")
        return results

    # -- waiting ------------------------------------------------------------------------

    def arrived(
        self, subscription: Subscription, *wanted: Sample, patience: float | None = None
    ) -> bool:
        """Wait until each record took effect and its verdict was answered."""
        return subscription.wait(
            lambda: all(subscription.handled(each.digest) for each in wanted),
            self.patience(patience or PATIENCE),
        )

    def deliver_control(self, subscription: Subscription, *wanted: Sample) -> None:
        """Demand, as a control, that these records arrive."""
        limit = CONTROL_PATIENCE
        if self.session.lost_controls >= CONTROLS_TO_LOSE:
            limit = LOST_CONTROL_PATIENCE
        ok = self.arrived(subscription, *wanted, patience=limit)
        if not ok:
            self.session.lost_controls += 1
        else:
            self.session.lost_controls = 0
        self.control(ok, "a valid record published on a healthy broker was not handled")

    def dead_letter(
        self, predicate: Callable[[WireRecord], bool], patience: float | None = None
    ) -> WireRecord | None:
        """Wait for a dead letter that `predicate` accepts, on any topic of the dlq domain."""
        found: list[WireRecord] = []

        def matches(record: WireRecord) -> bool:
            if _is_dead(record) and predicate(record):
                found.append(record)
                return True
            return False

        self.wire.wait_for(matches, self.patience(patience or PATIENCE))
        return found[0] if found else None

    def patience(self, seconds: float) -> float:
        """Scale a waiting time to this machine (`--time-scale`)."""
        return seconds * self.session.options.time_scale

    # -- judging ------------------------------------------------------------------------

    def control(self, holds: object, says: str) -> None:
        """End the case as inconclusive unless the positive control holds."""
        if not holds:
            self._alive()
            raise Inconclusive(f"control: {says}")
        self.controlled = True

    def covered(self, holds: object, says: str) -> None:
        """End the case as inconclusive unless what it needs to see has occurred."""
        if not holds:
            raise Inconclusive(f"coverage: {says}")

    def equal(self, clause: str, expected: Any, seen: Any, says: str) -> None:
        """Judge `clause`: what was seen equals what the contract expects."""
        self.checked[clause] = True
        if expected != seen:
            raise ClauseFailed(clause, says, expected, seen)

    def true(
        self, clause: str, holds: object, says: str, *, expected: Any = None, seen: Any = None
    ) -> None:
        """Judge `clause`: the condition holds."""
        self.checked[clause] = True
        if not holds:
            raise ClauseFailed(clause, says, expected, seen)

    def must(self, clause: str, happened: object, says: str, **facts: Any) -> None:
        """Judge `clause`: something awaited has happened.

        Patience that ran out proves nothing on a machine that is not fit: then the case is
        inconclusive.
        """
        self.checked[clause] = True
        if not happened:
            self.fit()
            raise ClauseFailed(clause, says, facts.get("expected"), facts.get("seen"))

    def warn(self, clause: str, says: str) -> None:
        """Note a deviation that a settled ambiguity tolerates."""
        self.checked[clause] = True
        self.warned[clause] = says

    def note(self, text: str) -> None:
        """Keep an observation for the report."""
        self.observations.append(text)

    def fit(self) -> None:
        """Raise `Inconclusive` unless broker, driver and machine answer promptly now."""
        self._alive()
        try:
            seconds = self.wire.ping()
        except Exception as error:  # noqa: BLE001 (whatever it is, the broker is not fit)
            raise Inconclusive(f"environment: the broker does not answer ({error})") from error
        if seconds > self.patience(FIT_ROUND_TRIP):
            raise Inconclusive(f"environment: a raw round trip took {seconds:.1f} s")
        for each in self._buses:
            before = time.monotonic()
            if each.driver.alive:
                each.driver.request("clock")
            if time.monotonic() - before > self.patience(FIT_ROUND_TRIP):
                raise Inconclusive("environment: the driver needs more than a second to answer")

    def _alive(self) -> None:
        """Let the death of a driver show as what it is, before anything else is said."""
        for each in self._buses:
            each.driver.check()

    # -- the end ------------------------------------------------------------------------

    def close(self) -> None:
        """Close every bus and leave the lane; what fails here is no verdict."""
        for bus in self._buses:
            if bus.driver.alive:
                with contextlib.suppress(DriverRefused, DriverError):
                    bus.close()
        for driver in self._drivers:
            with contextlib.suppress(DriverError):
                driver.kill()
        if self._wire is not None:
            self._wire.close()
        if self._lane is not None:
            self._lane.close()


def body_digest(record: WireRecord) -> str | None:
    """Return the SHA-256 of a wire record's decoded body, None where it cannot be decoded."""
    import hashlib  # noqa: PLC0415

    try:
        body = encoding.decode_body(record.header_map(), record.payload)
    except encoding.EncodingFault:
        return None
    return hashlib.sha256(body).hexdigest()


def _is_dead(record: WireRecord) -> bool:
    """Tell whether a record is on a topic of the dlq domain, in whatever form (A-05)."""
    tokens = record.topic.split(".")
    return len(tokens) > 2 and tokens[2] == "dlq"


def failing(times: int, digests: set[str]) -> Handler:
    """Return a handler that fails the first `times` deliveries of each of these records."""
    seen: dict[str, int] = {}

    def handler(delivery: Delivery) -> str:
        if delivery.digest not in digests:
            return "ack"
        seen[delivery.digest] = seen.get(delivery.digest, 0) + 1
        return "fail" if seen[delivery.digest] <= times else "ack"

    return handler


def hanging(_: Delivery) -> None:
    """Never give a verdict."""


__all__ = ["Lab", "always_ack", "failing", "hanging"]
