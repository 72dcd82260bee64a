"""Loads on the binding of a session: sides, runs, and the lines of the report about them."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ampy_conformance import driver as drivers
from ampy_conformance._errors import UsageError
from ampy_conformance.broker import BrokerError
from ampy_conformance.contract.samples import Samples
from ampy_conformance.driver import DriverError, DriverRefused
from ampy_conformance.load import log, run, schedule
from ampy_conformance.load.exceedance import LOST
from ampy_conformance.load.run import Shape
from ampy_conformance.load.schedule import DEFAULT_MIX, Offered
from ampy_conformance.load.side import NEVER, OK, Access, ClockTrouble, Side
from ampy_conformance.suite.verdicts import Inconclusive, NotClaimed, NotRun

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ampy_conformance.broker import Lane, Observer
    from ampy_conformance.contract import Contract
    from ampy_conformance.driver import Driver
    from ampy_conformance.load.run import Latency, Tell, Throughput
    from ampy_conformance.load.side import Stretch
    from ampy_conformance.suite.session import Session

# The raw client of each broker.
CONTROLS = {"nats": "raw-nats", "kafka": "raw-kafka", "memory": "raw-mem"}
RATE = 1050.0
BENCH_SECONDS = 10.0
# What is replayed beside the load, and how many records for each that is sent live meanwhile.
REPLAYED, REPLAY_SHARE = "bars", 0.25
STORED_A_SECOND = 1500  # on a slow machine; for the progress alone
# Pressure: a consumer of urgent records hangs, and producers of the lowest class have to wait.
URGENT, LOW, PRESSED_RATE = "orders", "C", 150.0
PRESSURE = {"lag_high": 20, "lag_low": 5, "publish_timeout_ms": 1000}
HANGS = 0.6  # of the time
HELD_NS = 500_000_000
LOOK, RECOVERY = 0.25, 15.0  # seconds between looks at a consumer's lag, and for it to be told over
# What the contract gives as its target, records a second (section 13).
TARGET = 10_000
BINDING, CONTROL = "binding", "control"
# The memory broker is one Python process that moves base64: it is for development.
MEMORY = Offered(200.0, ((300, 1.0),), ())


class Sides(NamedTuple):
    """Who takes part in a load; `wire` reads the log of both, `tape` is what can be replayed."""

    binding: Side
    control: Side
    wire: Observer
    tape: Tape | None


@dataclass(frozen=True)
class Wish:
    """What load is asked for; None: the method's own (docs/slo.md)."""

    rate: float | None = None
    mix: tuple[tuple[int, float], ...] | None = None
    domains: tuple[str, ...] = ()
    duration: float | None = None
    quick: bool = False
    in_flight: int = 512
    glance: bool = False

    @property
    def shape(self) -> Shape:
        """How long everything takes."""
        return Shape.glance() if self.glance else Shape.of(self.duration, quick=self.quick)


@dataclass
class Loading:
    """The load runs of a session; each is run once, however many cases look at it."""

    session: Session
    wish: Wish
    tell: Tell
    line: Callable[[dict[str, Any]], None] = lambda _: None
    _done: dict[str, Any] = field(default_factory=dict)

    def offered(self) -> Offered:
        """Return the load that is offered; raises `UsageError` for what is no domain with a limit."""
        known = schedule.limits(self.session.contract)
        wish, memory = self.wish, self.session.hello.broker == "memory"
        unknown = [each for each in wish.domains if each not in known]
        if unknown:
            raise UsageError(
                f"--domains: {unknown[0]!r} has no limit of latency; those that have one are "
                f"{', '.join(known)}"
            )
        rate = wish.rate or (MEMORY.rate if memory else RATE)
        schedule.fits(rate * (wish.shape.stretch + wish.shape.warm_up))
        return Offered(
            rate, wish.mix or (MEMORY.mix if memory else DEFAULT_MIX), wish.domains or tuple(known)
        )

    def latency(self) -> Latency:
        """Return the latency run; raises what prevented it."""
        return self._once("latency", self._latency)  # type: ignore[no-any-return]

    def throughput(self) -> Throughput:
        """Return the throughput run; raises what prevented it."""
        return self._once("throughput", self._throughput)  # type: ignore[no-any-return]

    def replay(self) -> Replayed:
        """Return a latency run with a replay beside it; raises what prevented it."""
        return self._once("replay", self._replay)  # type: ignore[no-any-return]

    def pressure(self) -> Pressed:
        """Return a load beside a consumer that hangs for a while; raises what prevented it."""
        return self._once("pressure", self._pressure)  # type: ignore[no-any-return]

    def _pressure(self) -> Pressed:
        shape, seed = self.wish.shape, str(self.session.options.seed)
        low = next(
            name
            for name, each in self.session.contract.domains.items()
            if each.qos == LOW and each.payloads
        )
        offered = Offered(PRESSED_RATE, ((300, 1.0),), (URGENT, low))
        with (
            self._environment(),
            self._sides(offered, tuning=PRESSURE) as (binding, _, wire, _),
        ):
            seconds = max(4.0, shape.stretch / 2)
            hanging = Hanging(binding, URGENT)
            release = threading.Timer(seconds * HANGS, hanging.release)
            self.tell("a consumer hangs while records flow", seconds)
            release.start()
            with hanging.watched():
                try:
                    one, usage = run.observed(
                        binding,
                        lambda: binding.stretch(
                            seconds, 0.0, shape.drain + 3.0, f"{seed} pressure"
                        ),
                    )
                finally:
                    release.cancel()
                    hanging.release()
            stored: set[int] = set()
            for domain in offered.domains:
                self.tell(f"reading the log: {domain}", run.READING_SECONDS)
                stored |= log.stored(wire, binding.pattern(domain), binding.marker).keys()
        return pressed(one, hanging, low, stored, usage.starved(binding.pids))

    # -- for operators ----------------------------------------------------------------------

    def bench_publish(self) -> dict[str, Any]:
        """Let the binding alone send as fast as its window allows; returns the figures."""
        wish = self.wish
        seconds = wish.duration or BENCH_SECONDS
        offered = Offered(RATE, wish.mix or ((300, 1.0),), wish.domains or ("bars",))
        with self._environment(), self._alone(offered) as side:
            self.tell(f"publishing: {self.session.options.driver}", seconds)
            count = min(schedule.MOST_SENDS, int(seconds * run.MOST_A_SECOND))
            one = side.flood(seconds, wish.in_flight, count, str(self.session.options.seed))
            sizes = [side.templates[each].size for each in one.picks]
            good = [
                index
                for index, (outcome, at) in enumerate(zip(one.outcomes, one.returned, strict=True))
                if outcome == 0 and at != NEVER
            ]
            span = max((one.returned[each] for each in good), default=0) / 1e9
            sent = sum(each != NEVER for each in one.called)
            took = [one.returned[each] - one.called[each] for each in good]
            return self._figures("publish", good, sizes, sent, span, took)

    def bench_consume(self) -> dict[str, Any]:
        """Offer a rate to the binding alone; returns what was delivered, and how late."""
        wish = self.wish
        seconds = wish.duration or BENCH_SECONDS
        offered = Offered(wish.rate or RATE, wish.mix or ((300, 1.0),), wish.domains or ("bars",))
        with self._environment(), self._alone(offered) as side:
            self.tell(f"consuming: {self.session.options.driver}", seconds)
            one = side.stretch(seconds, 0.0, 5.0, str(self.session.options.seed))
            sizes = [side.templates[each].size for each in one.picks]
            good = [index for index, each in enumerate(one.latency) if each != LOST]
            span = max((one.times[each] + one.latency[each] for each in good), default=0) / 1e9
            return self._figures("consume", good, sizes, len(one.times), span, list(one.latency))

    def _figures(
        self,
        what: str,
        good: Sequence[int],
        sizes: Sequence[int],
        wanted: int,
        span: float,
        took: Sequence[int],
    ) -> dict[str, Any]:
        span = max(span, 1e-9)
        return {
            "what": what,
            "driver": self.session.options.driver,
            "seconds": round(span, 3),
            "records": len(good),
            "missing": wanted - len(good),
            "records_per_second": round(len(good) / span, 1),
            "bytes_per_second": round(sum(sizes[each] for each in good) / span),
            "quantiles_ms": run.quantiles(took),
        }

    @contextlib.contextmanager
    def _alone(self, offered: Offered) -> Iterator[Side]:
        broker = self.session.broker
        assert broker is not None
        lane = broker.lane()
        with contextlib.ExitStack() as stack:
            stack.callback(lane.close)
            driver = self.session.options.driver
            side = self._side(lane, lane.untap(), BINDING, driver, "dev", offered, {})
            stack.callback(side.close)
            yield side

    def _once(self, name: str, work: Callable[[], Any]) -> Any:
        if name not in self._done:
            try:
                self._done[name] = work()
            except Exception as error:  # noqa: BLE001 (every case that looks at the run ends in it)
                self._done[name] = error
        found = self._done[name]
        if isinstance(found, Exception):
            raise found
        return found

    def _latency(self) -> Latency:
        offered, shape, seed = self.offered(), self.wish.shape, self.session.options.seed
        limits = run.limits_of(schedule.limits(self.session.contract), offered.domains, shape)
        with self._environment(), self._sides(offered) as (binding, control, wire, _):
            found = run.latency(binding, control, limits, shape, str(seed), self.tell, wire)
            facts = self._facts(offered, binding, control)
        facts |= run.latency_facts(found, BINDING, CONTROL, seed)
        self.line({"what": "latency", **facts})
        return found

    def _throughput(self) -> Throughput:
        shape, seed = self.wish.shape, self.session.options.seed
        size = min(self.offered().mix)[0]
        offered = Offered(RATE, ((size, 1.0),), ("bars",))
        with self._environment(), self._sides(offered) as (binding, control, wire, _):
            found = run.throughput(
                binding, control, shape, str(seed), self.tell, wire, self.wish.in_flight
            )
            facts = self._facts(offered, binding, control)
        facts |= found.facts(BINDING, CONTROL, TARGET, seed)
        self.line({"what": "throughput", **facts})
        return found

    def _replay(self) -> Replayed:
        """Store records that the group has not seen, and have them replayed while the load goes on."""
        offered, shape, seed = self.offered(), self.wish.shape, self.session.options.seed
        if REPLAYED not in offered.domains:
            raise Inconclusive(f"coverage: {REPLAYED} is not under load")
        limits = run.limits_of(schedule.limits(self.session.contract), offered.domains, shape)
        with self._environment(), self._sides(offered, tape=True) as (binding, control, wire, tape):
            assert tape is not None
            binding.serve_replay(REPLAYED)
            binding.extra = {REPLAYED: tape.length}
            found = run.latency(
                binding, control, limits, shape, f"{seed} replay", self.tell, wire, tape.ask
            )
            replayed = tape.replayed(binding)
            facts = self._facts(offered, binding, control)
        facts |= run.latency_facts(found, BINDING, CONTROL, seed)
        facts["replayed"] = replayed.delivered
        facts["replay_seconds"] = replayed.seconds and round(replayed.seconds, 3)
        self.line({"what": "replay", **facts})
        return replace(replayed, latency=found)

    def _facts(self, offered: Offered, binding: Side, control: Side) -> dict[str, Any]:
        return {
            "offered": offered.facts(),
            "quick": self.wish.quick or self.wish.glance,
            "seed": self.session.options.seed,
            "sides": {each.name: each.client for each in (binding, control)},
        }

    # -- sides ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _environment(self) -> Iterator[None]:
        """Say what a failure of the run means: nothing about the binding.

        A broker that died is an error, stamps that cannot be are inconclusive.
        """
        broker = self.session.broker
        assert broker is not None
        try:
            yield
        except DriverRefused as refusal:
            claimed = "slo" in self.session.hello.profiles
            if refusal.op == "load_plan" and refusal.code == "unsupported" and not claimed:
                raise NotClaimed(
                    "the driver has no load_plan: nothing can be measured (docs/drivers.md, `Under load`)"
                ) from refusal
            if not broker.alive:
                raise BrokerError(self._died()) from refusal
            raise
        except ClockTrouble as trouble:
            if not broker.alive:
                raise BrokerError(self._died()) from trouble
            raise Inconclusive(f"clock: {trouble}") from trouble
        except DriverError as error:
            if not broker.alive:
                raise BrokerError(self._died()) from error
            raise
        if not broker.alive:
            raise BrokerError(self._died())

    def _died(self) -> str:
        assert self.session.broker is not None
        return f"the {self.session.broker.kind} broker ended during the load: run again"

    @contextlib.contextmanager
    def _sides(
        self,
        offered: Offered,
        *,
        tape: bool = False,
        tuning: Mapping[str, int] | None = None,
    ) -> Iterator[Sides]:
        """Open the binding in one env and the raw client in another, on a lane of their own.

        `tape`: records are stored before the binding subscribes, to be replayed.
        """
        broker = self.session.broker
        assert broker is not None
        self.tell("connecting", 5.0)
        lane = broker.lane()
        beside = {"harness": os.getpid()} | ({"broker": broker.pid} if broker.pid else {})
        url = lane.untap()
        with contextlib.ExitStack() as stack:
            stack.callback(lane.close)
            wire, found = lane.observe(), None
            if tape:
                parts, each = requests = self._requests()
                self.tell("storing what will be replayed", parts * each / STORED_A_SECOND)
                found = Tape(self.session.contract, wire, self._marker(BINDING), "dev", requests)
            first = found.count if found else 0
            driver = self.session.options.driver
            binding = self._side(lane, url, BINDING, driver, "dev", offered, beside, tuning, first)
            stack.callback(binding.close)
            raw = CONTROLS[broker.kind]
            control = self._side(lane, url, CONTROL, raw, "paper", offered, beside)
            stack.callback(control.close)
            yield Sides(binding, control, wire, found)

    def _side(
        self,
        lane: Lane,
        url: str,
        name: str,
        connectable: str,
        env: str,
        offered: Offered,
        beside: Mapping[str, int],
        tuning: Mapping[str, int] | None = None,
        first: int = 0,
    ) -> Side:
        contract = self.session.contract
        return Side(
            name,
            lambda: self._connect(connectable),
            Access(url, lane.names, lane.group, self.session.state_dir(), beside),
            contract,
            Samples(contract, self.session.options.seed),
            offered,
            env=env,
            marker=self._marker(name),
            tuning=tuning,
            first=first,
        )

    def _marker(self, name: str) -> str:
        return f"load-{self.session.options.seed:010d}-{name}-"

    def _requests(self) -> tuple[int, int]:
        """Return how many replays there may be, and how many records each brings back."""
        shape = self.wish.shape
        stretches = 2 * (shape.looks + 1)  # two of each look, and two of the confirmation
        return stretches, max(20, int(REPLAY_SHARE * self.offered().rate * shape.stretch))

    def _connect(self, connectable: str) -> tuple[Driver, str]:
        if connectable.startswith("tcp:"):
            raise NotRun(
                "load: a driver attached over tcp: is one process, and a load needs one that sends and "
                "one that receives; let the suite start it with exec:"
            )
        contract = self.session.contract
        driver = drivers.connect(connectable, time_scale=self.session.options.time_scale)
        try:
            hello = driver.hello(contract.name, contract.version, contract.digest)
        except BaseException:
            driver.close()
            raise
        name = "{name} {version}".format(**hello.identity)
        client = hello.identity.get("client")
        return driver, f"{name} ({client})" if client else name


@dataclass(frozen=True)
class Pressed:
    """What became of records while a consumer hung: counts.

    `backlog`: urgent records that were acknowledged while it hung, `lag`: the most that its binding
    said were waiting for it; `signalled` and `recovered`: whether producers were told of it, and
    told when it was over; `heard`: whether the binding said anything of it after that. `waited`: of
    `told`, the records of a domain that can wait and were to be sent while producers knew.
    `starved`: why the machine may be to blame for what did not happen, if so.
    """

    hung: int
    backlog: int
    lag: int
    signalled: bool
    recovered: bool
    heard: bool
    low: str
    told: int
    waited: int
    acknowledged: int
    undelivered: int
    lost: int
    urgent: int
    urgent_refused: int
    starved: str = ""
    high: int = PRESSURE["lag_high"]


def pressed(
    one: Stretch, hanging: Hanging, low: str, stored: Collection[int], starved: str
) -> Pressed:
    """Count what became of a stretch beside a consumer that hung."""
    ours = {index for index, each in enumerate(one.outcomes) if each == OK}
    lost = [n for n in one.acknowledged if n not in stored]
    begin, end = hanging.signalled_at, hanging.released_at or 0
    told = [
        n
        for n, (domain, at) in enumerate(zip(one.domains, one.times, strict=True))
        # Who is to be sent just before the release is not held up for long.
        if domain == low and begin is not None and begin <= one.start_ns + at < end - HELD_NS
    ]
    urgent = [n for n, each in enumerate(one.domains) if each == URGENT]
    return Pressed(
        hung=hanging.held,
        backlog=sum(n in ours and one.start_ns + one.returned[n] < end for n in urgent),
        lag=hanging.lag,
        signalled=hanging.signalled,
        recovered=hanging.recovered,
        heard=hanging.heard,
        low=low,
        told=len(told),
        waited=sum(n not in ours or one.returned[n] - one.times[n] > HELD_NS for n in told),
        acknowledged=len(ours),
        undelivered=sum(one.latency[n] == LOST for n in ours),
        lost=len(lost),
        urgent=len(urgent),
        urgent_refused=sum(n not in ours for n in urgent),
        starved=starved,
    )


class Hanging:
    """A consumer beside the load whose handler hangs until it is released."""

    def __init__(self, side: Side, domain: str) -> None:
        self._driver = side.receiver
        self._lock = threading.Lock()
        self._open: list[str] = []
        self._released = False
        self.held = self.lag = 0
        self.signalled = self.recovered = self.heard = False
        self.signalled_at: int | None = None
        self.released_at: int | None = None
        self._driver.on_event("hanging", self._take)
        side.join("hanging", domain, credit=1)

    def _take(self, frame: Mapping[str, Any]) -> None:
        if frame["event"] != "deliver":
            return
        with self._lock:
            if not self._released:
                self._open.append(frame["delivery"])
                self.held += 1
                return
        self._settle([frame["delivery"]])

    def _settle(self, deliveries: Sequence[str]) -> None:
        verdicts = [{"delivery": each, "verdict": "ack"} for each in deliveries]
        if verdicts:
            self._driver.send("settle", subscription="hanging", verdicts=verdicts)

    def release(self) -> None:
        """Let the handler work from now on."""
        with self._lock:
            waiting, self._open = self._open, []
            self._released = True
            self.released_at = self.released_at or time.monotonic_ns()
        self._settle(waiting)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Ask again and again how far it is behind, and at the end wait until it is no longer."""
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
            deadline = time.monotonic() + RECOVERY
            while not self.recovered and thread.is_alive() and time.monotonic() < deadline:
                time.sleep(LOOK)
        finally:
            ended.set()
            thread.join()

    def _watch(self, ended: threading.Event) -> None:
        with contextlib.suppress(DriverError):  # whoever sends the load is told of it
            while not ended.wait(LOOK):
                released = self._released  # before the question: the answer may be of before it
                try:
                    answer = self._driver.request("lag", subscription="hanging")
                except DriverRefused:
                    continue  # it does not know now, and is asked again
                self.lag = max(self.lag, answer["lag"])
                if answer["signalled"] and self.signalled_at is None:
                    self.signalled, self.signalled_at = True, time.monotonic_ns()
                self.heard = self.heard or released
                self.recovered = self.signalled and released and not answer["signalled"]


@dataclass(frozen=True)
class Replayed:
    """What was asked to be replayed, what came, and within how many seconds of each request."""

    asked: int
    delivered: int
    seconds: float | None
    latency: Latency | None = None


class Tape:
    """Records of one domain at known times, stored before the group is there; parts of it are asked for."""

    def __init__(
        self, contract: Contract, wire: Observer, marker: str, env: str, shape: tuple[int, int]
    ) -> None:
        self._contract, self._wire, self._env = contract, wire, env
        parts, self.length = shape
        self.count = parts * self.length
        self._asked: list[int] = []
        self._samples = Samples(contract, 0)
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        self._start = now - dt.timedelta(hours=2)
        stored = []
        for number in range(self.count):
            at = self._start + dt.timedelta(minutes=number // self.length)
            sample = self._samples.record(
                REPLAYED, entity=number % 8, env=env, tag=f"{marker}{number:010d}"
            )
            envelope = self._samples.envelope(sample, produced_at=stamp(at))
            stored.append((envelope.topic, envelope.headers, envelope.payload or b""))
        wire.publish_many(stored)

    def ask(self) -> None:
        """Ask for the next part, on the control topic."""
        start = self._start + dt.timedelta(minutes=len(self._asked))
        request = {
            "request_id": f"load-{len(self._asked)}",
            "domain": REPLAYED,
            "version": "v1",
            "subtopic": "",
            "start": start.isoformat().replace("+00:00", "Z"),
            "end": (start + dt.timedelta(minutes=1)).isoformat().replace("+00:00", "Z"),
        }
        sample = self._samples.record("control", case="minimal", env=self._env, fields=request)
        envelope = self._samples.envelope(sample)
        self._asked.append(time.monotonic_ns())
        self._wire.publish(envelope.topic, envelope.headers, envelope.payload or b"")

    def replayed(self, binding: Side) -> Replayed:
        """Return what came of what was asked for, and the longest time that a part took."""
        spans = [
            binding.others[number] - asked
            for part, asked in enumerate(self._asked)
            for number in range(part * self.length, (part + 1) * self.length)
            if binding.others.get(number, 0) >= asked  # before that it was no replay
        ]
        whole = len(self._asked) * self.length
        seconds = max(spans) / 1e9 if spans and len(spans) == whole else None
        return Replayed(whole, len(spans), seconds)


def stamp(at: dt.datetime) -> str:
    """Return a time as a header has it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def silent(what: str, seconds: float) -> None:
    """Tell nobody."""
