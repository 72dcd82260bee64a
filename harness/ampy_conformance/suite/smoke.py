"""A first look at a driver: does it speak the protocol, publish once, deliver once, and end.

This certifies nothing. Each step says what was seen and what to do next.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from ampy_conformance import broker as brokers
from ampy_conformance import driver as drivers
from ampy_conformance._errors import ConformError
from ampy_conformance.contract.samples import Samples
from ampy_conformance.driver import family
from ampy_conformance.suite.wire import body_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ampy_conformance.broker import Broker, Lane, Observer
    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.driver import Driver, Hello

# ok: seen; todo: the driver says `unsupported`; broken: word and wire disagree; failed: the
# driver or the broker is in trouble.
Outcome = Literal["ok", "todo", "broken", "failed"]

# Half of the protocol's deadlines: an author who tries a driver out does not wait for a minute.
TIME_SCALE = 0.5
PATIENCE = 3.0
HINTS = {
    drivers.DriverTimeout: "answer every request, and do not wait for one in the handling of another",
    drivers.ProtocolViolation: "docs/driver-protocol.md describes the frames; one of them is a line of "
    "standard output, and all that is none goes to standard error",
    drivers.DriverDied: "look at what it said last; it has to live until `stop`",
}


@dataclass(frozen=True)
class Step:
    """What came of one step, and what to do about it."""

    name: str
    outcome: Outcome
    says: str
    hint: str = ""


class _Over(Exception):
    """The steps behind this one make no sense."""


class Smoke:
    """One look at one driver; `steps` grows, `tell` hears of each step as it ends."""

    def __init__(self, contract: Contract, tell: Callable[[Step], None]) -> None:
        self.steps: list[Step] = []
        self.facts: dict[str, Any] = {}
        self._contract = contract
        self._tell = tell
        self._now = ""

    def run(self, connectable: str) -> None:
        """Take every step that makes sense; raises `UsageError` where there is no such driver."""
        self._now = "handshake"
        driver = drivers.connect(connectable, time_scale=TIME_SCALE)
        try:
            self._steps(driver)
        except _Over:
            pass
        except drivers.DriverError as error:
            hint = next((text for kind, text in HINTS.items() if isinstance(error, kind)), "")
            self._note("failed", str(error), hint)
        except ConformError as error:
            self._note("failed", str(error))
        finally:
            relatives = family.descendants(driver.pid) if driver.alive else []
            driver.close()
            family.end(relatives)

    def _note(self, outcome: Outcome, says: str, hint: str = "") -> None:
        step = Step(self._now, outcome, says, hint)
        self.steps.append(step)
        self._tell(step)

    def _ask(self, driver: Driver, op: str, **fields: Any) -> dict[str, Any]:
        """Make a request; one that is not written yet ends the look at what needs it."""
        try:
            return driver.request(op, **fields)
        except drivers.DriverRefused as refusal:
            if refusal.code == "unsupported":
                self._note("todo", f"{op} is not written yet: {refusal.message}", f"write {op}")
            else:
                self._note("failed", f"{op} was refused: {refusal.code}: {refusal.message}")
            raise _Over from refusal

    # -- the steps ----------------------------------------------------------------------

    def _steps(self, driver: Driver) -> None:
        hello = self._handshake(driver)
        self._now = "clock"
        verdict = driver.check_clock()
        self._note("ok", verdict.reason)
        try:
            self._work(driver, hello)
        except _Over:
            if not driver.alive:
                raise
        self._end(driver)

    def _handshake(self, driver: Driver) -> Hello:
        contract = self._contract
        try:
            hello = driver.hello(contract.name, contract.version, contract.digest)
        except drivers.DriverRefused as refusal:
            low, high = driver.frames.versions
            ours = str(low) if low == high else f"{low} to {high}"
            self._note(
                "failed",
                f"the driver refused hello: {refusal.code}: {refusal.message}",
                f"this suite speaks protocol {ours}: update the driver or the suite",
            )
            raise _Over from refusal
        self.facts = hello.facts()
        unknown = sorted(set(hello.profiles) - set(contract.profiles))
        who = f"{hello.identity['name']} {hello.identity['version']} on {hello.broker}"
        claims = ", ".join(hello.profiles) or "nothing"
        hint = f"this contract does not know {', '.join(unknown)}: a typing error?"
        self._note("ok", f"{who}, claims {claims}", hint if unknown else "")
        self._now = "framing"
        # What a later version of the protocol adds is ignored by a driver of today.
        again = driver.request(
            "hello",
            timeout_ms=3000,
            protocol=list(driver.frames.versions),
            suite="smoke",
            contract={"name": contract.name, "version": contract.version, "digest": "0"},
            nonce="again é\u2028",
            from_a_later_version={"nested": [1, 2]},
        )
        if again["nonce"] != "again é\u2028":
            raise driver.violated("a second hello was not answered with its own nonce")
        self._note("ok", "a second hello with text beyond ASCII and an unknown field is answered")
        return hello

    def _work(self, driver: Driver, hello: Hello) -> None:
        self._now = "broker"
        with TemporaryDirectory(prefix="ampy-conform-smoke-") as scratch:
            broker = brokers.provision(
                hello.broker,
                domains=tuple(self._contract.domains),
                contract=self._contract,
                directory=Path(scratch),
                lanes=1,
            )
            try:
                self._note("ok", f"{broker.kind} {broker.version} is up")
                self._on(driver, broker, scratch)
            finally:
                broker.stop()

    def _on(self, driver: Driver, broker: Broker, scratch: str) -> None:
        lane = broker.lane()
        wire = lane.observe()
        try:
            self._now = "open"
            self._open(driver, lane, scratch)
            sample = Samples(self._contract, int(time.time())).record("bars")
            self._now = "publish"
            self._publish(driver, wire, sample)
            self._now = "delivery"
            self._deliver(driver, sample, lane.group("smoke"))
            self._now = "close"
            self._ask(driver, "close", bus="b1")
            self._note("ok", "the bus is closed")
        finally:
            wire.close()
            lane.close()

    def _open(self, driver: Driver, lane: Lane, scratch: str) -> None:
        self._ask(
            driver,
            "open",
            bus="b1",
            url=lane.url,
            env="dev",
            state_dir=scratch,
            names=dict(lane.names),
            tuning={},
        )
        self._note("ok", "a bus is open")

    def _publish(self, driver: Driver, wire: Observer, sample: Sample) -> None:
        who = {"name": "smoke@1", "source": "smoke", "run_id": "smoke"}
        self._ask(driver, "open_producer", bus="b1", producer="p1", **who)
        record = {
            "topic": sample.topic,
            "schema_fqdn": sample.schema_fqdn,
            "schema_version": sample.schema_version,
            "payload": base64.b64encode(sample.payload).decode(),
            "key": dict(sample.key),
        }
        result = self._ask(driver, "publish", producer="p1", records=[record])["results"][0]
        if result["outcome"] != "ok":
            why = f"{result.get('code', 'no code')}: {result.get('detail', '')}".rstrip(": ")
            self._note("failed", f"a valid bars record was not published: {why}")
            raise _Over
        found = wire.wait_for(
            lambda each: body_digest(each) == sample.digest or each.payload == sample.payload,
            PATIENCE,
            where="log",
        )
        if found is None:
            self._note(
                "broken",
                "publish was answered with ok, and the broker holds no such record",
                "answer ok when the broker has acknowledged the record, and not before",
            )
            raise _Over
        self._note("ok", f"one record is on the broker, at position {found.position}")

    def _deliver(self, driver: Driver, sample: Sample, group: str) -> None:
        arrived = threading.Event()
        seen: list[Mapping[str, Any]] = []

        def listen(event: Mapping[str, Any]) -> None:
            if event["event"] == "deliver":
                seen.append(event)
                arrived.set()

        driver.on_event("s1", listen)
        self._ask(
            driver,
            "subscribe",
            bus="b1",
            subscription="s1",
            pattern="ampy.dev.bars.v1.>",
            group=group,
            member="member-1",
            start="earliest",
            credit=16,
        )
        if not arrived.wait(PATIENCE):
            driver.check()
            self._note(
                "broken",
                f"the stored record was not delivered within {PATIENCE:g} s",
                "a new group with start: earliest begins at the first record of the log",
            )
            raise _Over
        body = base64.b64decode(seen[0]["payload"])
        if hashlib.sha256(body).hexdigest() != sample.digest:
            self._note(
                "broken",
                "the payload that was delivered is not the one that was published",
                "the payload of `deliver` is the handler's: content encoding undone",
            )
            raise _Over
        verdicts = [{"delivery": seen[0]["delivery"], "verdict": "ack"}]
        result = self._ask(driver, "settle", subscription="s1", verdicts=verdicts)["results"][0]
        if result["ack"] == "fail":
            self._note("broken", f"the verdict had no effect: {result.get('code', 'no code')}")
            raise _Over
        self._note("ok", "one record was delivered, and its verdict taken")

    def _end(self, driver: Driver) -> None:
        self._now = "stop"
        relatives = family.descendants(driver.pid)
        code = driver.stop()
        left = driver.left_behind + family.end(relatives)
        if code not in (0, None):
            how = f"signal {-code}, as it did not end by itself" if code < 0 else f"code {code}"
            self._note(
                "broken",
                f"after `stop` the driver ended with {how}",
                "end with code 0 after `stop`",
            )
        elif left:
            self._note(
                "broken",
                f"the driver left {len(set(left))} process(es) behind: {', '.join(sorted(set(left)))}",
                "end what the driver has started before `stop` is answered",
            )
        else:
            self._note("ok", "the driver ended by itself and left nothing behind")
