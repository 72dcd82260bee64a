"""The lab: what a conformance test gets. Binding and broker on either side, judging above."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import ConformError
from ampy_conformance.broker import BrokerError
from ampy_conformance.driver import DriverError, DriverRefused
from ampy_conformance.load import verdict as loads
from ampy_conformance.suite import handlers, loading
from ampy_conformance.suite.bus import Bus, Producer, Published, Subscription
from ampy_conformance.suite.verdicts import ClauseFailed, Inconclusive, NotClaimed, NotRun
from ampy_conformance.suite.wire import WireSide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ampy_conformance.broker import WireRecord
    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.driver import Driver
    from ampy_conformance.load.run import Throughput
    from ampy_conformance.load.verdict import Decision
    from ampy_conformance.suite.evidence import Evidence
    from ampy_conformance.suite.loading import Pressed, Replayed
    from ampy_conformance.suite.session import Session
    from ampy_conformance.suite.trials import Trial

# Short enough that a run with failures ends, long enough that a healthy binding on a busy
# two-core machine is never late: the slowest legal path (three attempts and one redelivery
# by the broker) takes about 2 s with this tuning.
PATIENCE = 6.0
# A control decides nothing but whether a case can be judged at all. Once three have failed
# in a run, the binding is as good as dead and the rest need not wait as long.
CONTROL_PATIENCE = 10.0
LOST_CONTROL_PATIENCE = 1.0
CONTROLS_TO_LOSE = 3
# Between two questions to a binding about its own state.
LOOK = 0.05
# A broker hands a dead member's records out again in its own time: JetStream after 30 s, unless
# the binding can tell it otherwise.
AGAIN = 40.0
# A raw round trip on a healthy broker takes 1-5 ms; a second means that the machine is
# not fit to judge anything by waiting.
FIT_SECONDS = 1.0
FEWEST_TOLD = 10  # records that could have been held up

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


class Lab(WireSide):
    """One test's workplace: an isolated lane on the broker, buses of the binding, a recorder."""

    failing = staticmethod(handlers.failing)
    hanging_on = staticmethod(handlers.hanging_on)
    tuning = TUNING

    def __init__(self, session: Session, case: str) -> None:
        super().__init__()
        self.session = session
        self.kind = case.partition("[")[0]
        self.history = session.recorder(case)
        self._buses: list[Bus] = []
        self._drivers: list[Driver] = []
        # What a campaign of another lab has brought to light, where this case judges that.
        self.evidence: Evidence | None = None
        self.closed = False

    # -- the binding --------------------------------------------------------------------

    def bus(
        self,
        *,
        env: str = "dev",
        driver: Driver | None = None,
        state_dir: str | None = None,
        url: str | None = None,
        **tuning: int | None,
    ) -> Bus:
        """Open a bus of the binding on this test's lane; `url` leads through a proxy.

        A tuning of None is left to the binding.
        """
        self.wire.ping()  # the tap listens before the binding can speak
        process = driver or self.session.pooled()
        handle = self.session.handles.new("b")
        trusted = self.session.clock.trusted
        bus = Bus(
            process,
            handle,
            self.history,
            self.session.handles,
            clock_trusted=trusted,
            told_group=self.lane.group,
        )
        self._buses.append(bus)
        told = {name: each for name, each in {**TUNING, **tuning}.items() if each is not None}
        process.request(
            "open",
            bus=handle,
            url=url or self.lane.url,
            env=env,
            state_dir=state_dir or self.session.state_dir(),
            names=dict(self.lane.names),
            tuning=told,
        )
        detail = {name: told.get(name) for name in ("max_attempts", "backoff_base_ms")}
        self.history.add("mark", actor=bus.actor, detail=detail)
        return bus

    def fresh_driver(self) -> Driver:
        """Start a process of the binding that this test may kill."""
        driver = self.session.fresh()
        self._drivers.append(driver)
        if not driver.can_kill:
            raise NotRun(
                "kill: a driver attached over tcp: cannot be killed; let the suite spawn it"
            )
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

    def needs_profile(self, profile: str) -> None:
        """End the case as not claimed where the binding does not claim a profile."""
        if profile not in self.session.hello.profiles:
            raise NotClaimed(f"the binding does not claim {profile}")

    def publish(self, bus: Bus, *wanted: Sample, **options: Any) -> list[Published]:
        """Publish through a new producer of `bus`; all must be acknowledged (a control)."""
        results = bus.producer().publish(*wanted, **options)
        refused = [each for each in results if each.outcome != "ok"]
        says = f"{len(refused)} of {len(results)} valid records were not acknowledged"
        self.control(not refused, says)
        return results

    def in_parallel(self, jobs: Sequence[tuple[Producer, Sequence[Sample]]]) -> list[Published]:
        """Publish each job's records one after the other, all jobs at the same time."""
        barrier = threading.Barrier(len(jobs))

        def run(producer: Producer, wanted: Sequence[Sample]) -> list[Published]:
            barrier.wait()
            return [producer.publish(each)[0] for each in wanted]

        with ThreadPoolExecutor(len(jobs)) as pool:
            done = [pool.submit(run, *job) for job in jobs]
            return [each for future in done for each in future.result()]

    def timers(self, count: int, seconds: float) -> Callable[[], list[float]]:
        """Start as many timers at once; the function returned gives how long each one took."""

        def sleep(_: int) -> float:
            began = time.monotonic()
            time.sleep(seconds)
            return time.monotonic() - began

        pool = ThreadPoolExecutor(count)
        started = [pool.submit(sleep, each) for each in range(count)]
        pool.shutdown(wait=False)
        return lambda: [each.result() for each in started]

    @staticmethod
    def interleaved(streams: dict[tuple[int, int], list[Sample]], producer: int) -> list[Sample]:
        """Return one producer's records, its keys taken in turns."""
        mine = [series for (number, _), series in streams.items() if number == producer]
        return [each for row in zip(*mine, strict=True) for each in row]

    # -- waiting for deliveries ---------------------------------------------------------

    def arrived(self, subscription: Subscription, *wanted: Sample) -> bool:
        """Wait until each record took effect and its verdict was answered."""
        return self.arrived_anywhere([subscription], *wanted)

    def arrived_anywhere(
        self,
        subscriptions: Sequence[Subscription],
        *wanted: Sample,
        patience: float = PATIENCE,
    ) -> bool:
        """Wait until each record took effect in one of these members of a group."""
        return self._until(
            subscriptions,
            lambda: all(
                any(each.handled(sample.digest) for each in subscriptions) for sample in wanted
            ),
            patience,
        )

    def redelivered(self, subscription: Subscription, sample: Sample) -> bool:
        """Wait until a dead member's record was handed out again and took effect.

        While the broker counts a record as unacknowledged, it is not lost; where that is so for
        longer than we wait, the case is inconclusive.
        """
        if self.arrived(subscription, sample):
            return True
        deadline = time.monotonic() + self.patience(AGAIN)
        while self.unacknowledged() and time.monotonic() < deadline:
            if self._until([subscription], lambda: subscription.handled(sample.digest), 1.0):
                return True
        arrived = subscription.handled(sample.digest)
        kept = arrived or not self.unacknowledged()
        self.covered(kept, "the broker still keeps the record for its group")
        return arrived

    def delivered(self, subscription: Subscription, sample: Sample) -> bool:
        """Wait until the record was delivered, settled or not."""
        return self.attempted(subscription, sample, 1)

    def delivered_one(self, subscription: Subscription, *wanted: Sample) -> bool:
        """Wait until one of these records was delivered: which key is first, nobody promises."""
        return self._until(
            [subscription],
            lambda: any(subscription.of(each.digest) for each in wanted),
            PATIENCE,
        )

    def attempted(self, subscription: Subscription, sample: Sample, times: int) -> bool:
        """Wait until the record was delivered this often."""
        return self._until(
            [subscription], lambda: len(subscription.of(sample.digest)) >= times, PATIENCE
        )

    def wait_either(self, subscription: Subscription, sample: Sample) -> WireRecord | None:
        """Wait until the record is delivered, or is a dead letter; return the dead letter.

        While the broker keeps the record for its group, it is waited for as long as for a dead letter.
        """
        letters: list[WireRecord] = []

        def either() -> bool:
            letters[:] = [each for each in self.stored(dead=True) if self.about(sample)(each)]
            return bool(letters) or bool(subscription.of(sample.digest))

        within = self.session.contract.qos["dead_letter_within_s"]
        deadline = time.monotonic() + self.patience(within)
        done = self._until([subscription], either, PATIENCE)
        while not done and self.still_tries() and time.monotonic() < deadline:
            done = self._until([subscription], either, 1.0)
        either()  # it may have come with the acknowledgement
        return letters[0] if letters else None

    def still_tries(self) -> bool:
        """Tell whether a record may still become a dead letter: by the broker, by who is alive, and by its attempts.

        More attempts than any QoS class may have (A-25) are a loop, and not waited for.
        """
        classes = self.session.contract.qos["classes"].values()
        most = max(each["handler_attempts"][1] for each in classes)
        living = [bus for bus in self._buses if bus.driver.alive]
        looping = any(
            count > most
            for bus in living
            for each in bus.subscriptions.values()
            for count in Counter(one.digest for one in list(each.deliveries)).values()
        )
        return bool(living) and not looping and super().still_tries()

    def deliver_control(self, subscription: Subscription, *wanted: Sample) -> None:
        """Demand, as a control, that these records arrive."""
        lost = self.session.lost_controls >= CONTROLS_TO_LOSE
        limit = LOST_CONTROL_PATIENCE if lost else CONTROL_PATIENCE
        ok = self.arrived_anywhere([subscription], *wanted, patience=limit)
        self.session.lost_controls = 0 if ok else self.session.lost_controls + 1
        self.control(ok, "a valid record on a healthy broker was not handled")

    def eventually(self, predicate: Callable[[], bool], patience: float = PATIENCE) -> bool:
        """Wait until the predicate holds; it asks the binding, so not too often."""
        deadline = time.monotonic() + self.patience(patience)
        while not predicate():
            if time.monotonic() > deadline:
                return predicate()
            time.sleep(LOOK)
        return True

    def gone_through(
        self, predicate: Callable[[], bool], progress: Callable[[], int], patience: float
    ) -> bool:
        """Wait until the predicate holds, for longer while `progress` grows: slow is not lost.

        What the broker counts as unacknowledged in the end is not lost either: inconclusive.
        """
        last = time.monotonic() + self.patience(patience + AGAIN)
        until = time.monotonic() + self.patience(patience)
        seen = progress()
        while not predicate():
            now = time.monotonic()
            if now > min(until, last):
                break
            if progress() > seen:
                seen, until = progress(), max(until, now + self.patience(patience / 2))
            time.sleep(LOOK)
        done = predicate()
        self.covered(
            done or not self.unacknowledged(), "the broker still keeps records for a group"
        )
        return done

    def merged_order(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Return the digests first delivered to any of these members, in order of arrival."""
        deliveries = [each for member in subscriptions for each in member.deliveries]
        deliveries.sort(key=lambda each: each.at)
        return list(dict.fromkeys(each.digest for each in deliveries))

    def _until(
        self,
        subscriptions: Sequence[Subscription],
        predicate: Callable[[], bool],
        patience: float,
    ) -> bool:
        deadline = time.monotonic() + self.patience(patience)
        while not predicate():
            left = deadline - time.monotonic()
            if left <= 0 or not all(each.alive for each in subscriptions):
                return predicate()
            subscriptions[0].wait_change(min(left, 0.1))
        return True

    def note_checkpoints(self) -> None:
        """Note in the history how far the broker counts the groups that have one consumer each."""
        groups: dict[str, set[str]] = {}
        for bus in self._buses:
            for each in bus.subscriptions.values():
                groups.setdefault(each.group, set()).update(each.consumers)
        names = {next(iter(each)): group for group, each in groups.items() if len(each) == 1}
        for state in self.wire.consumers():
            if state.name in names:
                self.history.add(
                    "checkpoint",
                    actor="raw",
                    group=names[state.name],
                    position=str(state.ack_floor),
                    detail={"stream": state.stream},
                )

    def judge_trial(self, trial: Trial, name: str) -> None:
        """Judge the clauses of a property by what a fault's campaign has brought to light."""
        result = trial.results[name]
        self.controlled = True
        first = result.rule.clauses[0]
        if result.total and result.rule.severity == "fail":
            examples = [each.says for each in result.examples]
            self.evidence = trial.evidence[name]
            raise ClauseFailed(
                first,
                f"{result.rule.means} ({trial.fault.name}: {examples[0]})",
                f"no violation in {result.covered} chances",
                "\n".join(
                    [f"{result.total} in all", *examples, "around it:", *trial.neighbours[name]]
                ),
            )
        self.covered(trial.fired, f"the fault {trial.fault.name} was not seen to fire")
        waited = result.rule.severity != "fail" or trial.drained
        self.covered(
            waited, "not everything was handled when time was up, and nothing proves a loss"
        )
        says = f"the campaign gave {name} no chance to show"
        self.covered(result.covered or result.rule.severity != "fail", says)
        for each in result.rule.clauses:
            self.true(each, holds=True, says=result.rule.means)
        if result.total:
            self.note(f"{name}: {result.total} of {result.covered}")

    # -- loads --------------------------------------------------------------------------

    def judge_load(self, clause: str, decision: Decision | None) -> None:
        """Judge a limit by what a load run decided; what it left open is inconclusive, with the reason."""
        self.controlled = True
        self.covered(decision, "no domain of this clause was under load")
        assert decision is not None
        shown = f"{decision.binding.share:.3%} of {decision.binding.records} records over the limit"
        self.note(f"{clause}: {shown}, raw client {decision.control.share:.3%}")
        if decision.outcome is loads.Outcome.FAIL:
            expected = f"at most {decision.binding.allowed:.0%} over {decision.binding.limit_ns / 1e6:g} ms"
            raise ClauseFailed(clause, decision.reason, expected, shown)
        if decision.outcome is loads.Outcome.INCONCLUSIVE:
            raise Inconclusive(decision.reason)
        self.true(clause, holds=True, says="")

    def judge_capacity(self, clause: str, found: Throughput) -> None:
        """Judge the throughput that was shown; a miss is a warning, since no load is laid down (A-54)."""
        self.controlled = True
        sides, seed = (loading.BINDING, loading.CONTROL), self.session.options.seed
        outcome, reason = found.verdict(*sides, loading.TARGET, seed)
        self.note(f"{clause}: {found.said(*sides, seed)}")
        if outcome is loads.Outcome.INCONCLUSIVE:
            raise Inconclusive(reason)
        self.true(
            clause,
            outcome is not loads.Outcome.FAIL,
            reason,
            expected=found.acknowledged[loading.BINDING],
            seen=found.verified[loading.BINDING],
        )
        if outcome is loads.Outcome.WARN:
            self.warn(clause, reason)

    def judge_replay(self, clause: str, found: Replayed) -> None:
        """Judge a replay beside a load: it comes, and the live limits hold meanwhile."""
        self.controlled = True
        assert found.latency is not None
        decisions = [each.decision for each in found.latency.limits]
        self.covered(found.asked, "no replay was asked for")
        for each in decisions:
            if each is not None and each.outcome is loads.Outcome.FAIL:
                raise ClauseFailed(clause, f"while a replay goes on, {each.reason}")
        self.covered(
            found.delivered == found.asked,
            f"{found.delivered} of {found.asked} replayed records came while the load went on",
        )
        self.note(
            f"{clause}: {found.asked} records replayed, each part within {found.seconds:.1f} s"
        )
        open_ones = [e.reason for e in decisions if e and e.outcome is loads.Outcome.INCONCLUSIVE]
        if open_ones:
            raise Inconclusive(open_ones[0])
        self.true(clause, holds=True, says="")

    def judge_signal(self, clause: str, found: Pressed) -> None:
        """Judge whether a consumer that hangs under load tells so, and tells when it is over."""
        self._pressed(found)

        def must(holds: object, says: str, **more: Any) -> None:
            self.covered(holds or not found.starved, f"environment: {found.starved}")
            self.must(clause, holds, says, **more)

        must(found.lag > found.high, "the lag does not show the backlog under load", seen=found.lag)
        must(found.signalled, "a consumer far behind signals nothing under load")
        self.covered(found.heard, "the binding did not say how far it was behind in the end")
        must(found.recovered, "the signal stays up after recovery under load")
        self.note(f"{clause}: up to {found.lag} records waited, the signal rose and fell")

    def judge_held_up(self, clause: str, found: Pressed) -> None:
        """Judge whether, under load, who can wait waits for a consumer that is far behind."""
        self._pressed(found)
        self.covered(found.signalled, "nobody was told that the consumer is behind")
        self.covered(
            found.told >= FEWEST_TOLD, f"only {found.told} records of {found.low} could be held up"
        )
        self.must(clause, found.waited, f"no record of {found.low} was held up under load")
        says = f"{found.waited} of {found.told} records of {found.low} were held up"
        self.covered(found.waited * 2 >= found.told, says)
        self.note(f"{clause}: {says}")

    def judge_pressure(self, clause: str, found: Pressed) -> None:
        """Judge what a consumer that hangs does to a load: who can wait waits, and nothing is lost."""
        self._hung(found)
        self.true(
            clause,
            not found.lost,
            "records acknowledged under load and pressure are not in the log",
            expected=found.acknowledged,
            seen=found.acknowledged - found.lost,
        )
        self.covered(
            not found.undelivered,
            f"{found.undelivered} acknowledged records are in the log and were not delivered in time",
        )
        self.covered(found.waited, f"no record of {found.low} was held up: nobody heard of the lag")
        self.note(
            f"{clause}: {found.waited} records of {found.low} held up, {found.urgent_refused} of "
            f"{found.urgent} urgent ones refused, {found.acknowledged} acknowledged and delivered"
        )

    def _hung(self, found: Pressed) -> None:
        self.controlled = True
        self.covered(found.hung, "the consumer that had to hang was given nothing")

    def _pressed(self, found: Pressed) -> None:
        self._hung(found)
        self.covered(found.backlog > found.high, "the consumer that hung was not far behind")

    # -- fitness ------------------------------------------------------------------------

    def fit(self) -> None:
        """Raise `Inconclusive` unless broker, driver and machine answer promptly now."""
        try:
            seconds = self.wire.ping()
        except ConformError as error:
            raise Inconclusive(f"environment: the broker does not answer ({error})") from error
        if seconds > self.patience(FIT_SECONDS):
            raise Inconclusive(f"environment: a raw round trip took {seconds:.1f} s")
        for each in self._buses:
            before = time.monotonic()
            if each.driver.alive:
                with contextlib.suppress(DriverRefused):  # to say no at once is prompt, too
                    each.driver.request("clock")
            if time.monotonic() - before > self.patience(FIT_SECONDS):
                raise Inconclusive("environment: the driver needs over a second to tell its clock")

    def check_alive(self) -> None:
        """Raise `DriverDied` where a driver of this test is gone without having been killed."""
        for each in self._buses:
            each.driver.check()

    def close(self) -> None:
        """Close every bus and leave the lane, once; what fails here is no verdict."""
        if self.closed:
            return
        self.closed = True
        for bus in self._buses:
            if bus.driver.alive:
                with contextlib.suppress(DriverRefused, DriverError):
                    bus.close()
        for driver in self._drivers:
            with contextlib.suppress(DriverError):
                driver.kill()
        if self._wire is not None:
            with contextlib.suppress(BrokerError):
                if self.session.history is not None:
                    self.audit()
            self._wire.close()
        if self._lane is not None:
            self._lane.close()
