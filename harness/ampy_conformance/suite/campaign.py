"""A campaign: a running binding under load, a fault that strikes, and what is left to be judged.

Phases: load (with the fault), heal, settle, drain until nothing is left to handle, raw audit from
the start of the log. Producers and two members of a group run in driver processes of their own,
so that each can be killed or frozen alone; a second group shares a process with the first member.
Everything that happens goes into the history, which is judged afterwards (`history.properties`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import ConformError
from ampy_conformance.broker import BrokerError
from ampy_conformance.driver import DriverDied, DriverRefused
from ampy_conformance.suite.wire import is_dead

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.driver import Driver
    from ampy_conformance.faults.toxiproxy import Proxy
    from ampy_conformance.suite.bus import Bus, Delivery, Producer, Subscription
    from ampy_conformance.suite.lab import Lab

GROUPS = ("risk", "archive")
KEYS = 4
PAUSE = 0.02  # seconds between two publishes of one producer
QUIET = 0.4  # seconds of load before the first and after the last strike
DRAIN = 25.0  # seconds; beyond the retry horizon of the tuning below
# A binding whose redelivery cannot be tuned has the broker's own, 30 s on NATS.
AGAIN = 45.0
GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
TUNING: dict[str, int] = {
    "max_attempts": 4,
    "backoff_base_ms": 40,
    "backoff_max_ms": 200,
    "publish_attempts": 3,
    "publish_timeout_ms": 700,
    "handler_timeout_ms": 700,
    "redelivery_ms": 1000,
    "max_in_flight": 64,
}


@dataclass
class Trap:
    """A kill point: where in the handler's work deliveries are caught, and which were."""

    member: str
    point: str  # before, between, after
    caught: list[str] = field(default_factory=list)


class Member:
    """One process that consumes for some groups; it may die and come back."""

    def __init__(self, campaign: Campaign, name: str, groups: tuple[str, ...]) -> None:
        self.campaign = campaign
        self.name = name
        self.groups = groups
        self.subscriptions: dict[str, Subscription] = {}
        self.driver = campaign.lab.fresh_driver()
        self._join()

    def _join(self) -> None:
        campaign = self.campaign
        self.bus = campaign.open(self.driver, campaign.state)
        for group in self.groups:
            self.subscriptions[group] = self.bus.subscribe(
                "ampy.dev.>",
                group=group,
                member=self.name,
                credit=32,
                handler=functools.partial(campaign.handle, self, group),
            )

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self.campaign.lab.history.add("fault", actor=self.bus.actor, detail={"fault": "killed"})
        self.driver.kill()

    def revive(self) -> None:
        """Start the killed process again, with the same name and state."""
        self.driver = self.campaign.lab.respawn(self.driver)
        self._join()

    def pause(self, seconds: float) -> None:
        """Freeze the process for a while (SIGSTOP, SIGCONT)."""
        history = self.campaign.lab.history
        for each in self.subscriptions.values():
            history.add("fault", subscription=each.handle, detail={"fault": "paused"})
        self.driver.pause()
        time.sleep(seconds)
        for each in self.subscriptions.values():
            history.add("fault", subscription=each.handle, detail={"fault": "resumed"})
        self.driver.resume()


class Source:
    """One process that publishes, through several producers at once."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self._lock = threading.Lock()
        self.driver: Driver = campaign.lab.fresh_driver()
        self._open()

    def _open(self) -> None:
        self.bus: Bus = self.campaign.open(self.driver, self.campaign.lab.session.state_dir())
        # Two for the load and one for what is scripted: calls of one producer that overlap have
        # no order.
        self.producers: list[Producer] = [
            self.bus.producer(name=f"load@{number}") for number in (1, 2, 3)
        ]

    def publish(self, number: int, *samples: Sample) -> list[str]:
        """Publish and return the outcomes; a process that dies leaves them unknown."""
        try:
            return [each.outcome for each in self.producers[number].publish(*samples)]
        except (DriverDied, DriverRefused):
            with self._lock:  # wait for whoever revives it
                self.driver.check()  # nobody has killed one that is gone by itself
                return ["info"] * len(samples)

    def kill_and_revive(self) -> None:
        """End the process with SIGKILL while it publishes, and start it again."""
        with self._lock:
            self.campaign.lab.history.add("fault", actor=self.bus.actor, detail={"fault": "killed"})
            self.driver.kill()
            self.driver = self.campaign.lab.respawn(self.driver)
            self._open()


class Campaign:
    """One run under load; `strike` is called while records flow."""

    def __init__(self, lab: Lab, rng: random.Random, *, through: Proxy | None = None) -> None:
        self.lab = lab
        self.rng = rng
        self.proxy = through
        self.url = through.url if through is not None else None
        self.state = lab.session.state_dir()
        self.trap: Trap | None = None
        self.script: dict[str, list[str]] = {}
        self.handled: dict[str, set[str]] = {group: set() for group in GROUPS}
        self.excused: set[str] = set()
        self.outcomes: list[tuple[float, str]] = []
        self.healed_at: float | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._trouble: ConformError | None = None
        lab.wire.ping()
        self.source = Source(self)
        self.left = Member(self, "left", GROUPS)
        self.right = Member(self, "right", GROUPS[:1])
        self.members = (self.left, self.right)

    def open(self, driver: Driver, state: str) -> Bus:
        """Open a bus of the binding, through the proxy where there is one."""
        return self.lab.bus(driver=driver, state_dir=state, url=self.url, env="dev", **TUNING)

    # -- the handler ---------------------------------------------------------------------

    def handle(self, member: Member, group: str, delivery: Delivery) -> str | None:
        """Decide what becomes of a delivery: by script, by trap, else it succeeds."""
        subscription = member.subscriptions.get(group)
        with self._lock:
            trap = self.trap
            verdict = self._scripted(delivery)
            mine = trap is not None and trap.member in ("", member.name)
            caught = mine and verdict == "ack"
            if caught and trap is not None:
                trap.caught.append(delivery.digest)
        if caught and trap is not None and subscription is not None:
            if trap.point in ("before", "stall"):
                return None
            if trap.point == "between":
                subscription.apply(delivery)
                self.handled[group].add(delivery.digest)
                return None
        if verdict == "ack":
            self.handled[group].add(delivery.digest)
        return verdict

    def _scripted(self, delivery: Delivery) -> str | None:
        steps = self.script.get(delivery.digest)
        if not steps:
            return "ack"
        step = steps[0] if len(steps) == 1 and steps[0].startswith("always") else steps.pop(0)
        verdict = step.removeprefix("always ")
        return None if verdict == "hang" else verdict

    def caught(self, point: str, member: Member, atleast: int = 4, patience: float = 4.0) -> int:
        """Set a trap and wait until deliveries are in it; returns how many."""
        trap = Trap(member.name, point)
        with self._lock:
            self.trap = trap
        deadline = time.monotonic() + self.lab.patience(patience)
        while len(trap.caught) < atleast and time.monotonic() < deadline:
            time.sleep(0.005)
        return len(trap.caught)

    def release(self) -> None:
        """Take the trap away."""
        with self._lock:
            self.trap = None

    def confirmed(self) -> None:
        """Wait until the binding has recorded what the trap caught."""
        wanted = set(self.trap.caught) if self.trap is not None else set()
        deadline = time.monotonic() + self.lab.patience(2.0)

        def open_ones() -> set[str]:
            subscriptions = [s for each in self.members for s in each.subscriptions.values()]
            done = {d.digest for s in subscriptions for d in list(s.deliveries) if d.recorded}
            return wanted - done

        while open_ones() and time.monotonic() < deadline:
            time.sleep(0.005)

    # -- what strikes may do ---------------------------------------------------------------

    def fault(self, name: str) -> None:
        """Note in the history that a fault begins."""
        self.lab.history.add("fault", detail={"fault": name})

    def healed(self) -> None:
        """Note that the fault is over, and when: recovery is counted from here."""
        self.healed_at = time.monotonic()
        self.lab.history.add("fault", detail={"fault": "healed"})

    def scripted(self, *scripts: list[str], each: int = 4) -> int:
        """Let the handler follow a script on some of the records that the source publishes."""
        fired = 0
        for script in scripts:
            for _ in range(each):
                with self._lock:
                    sample = self.sample()
                    self.script[sample.digest] = list(script)
                fired += self.source.publish(2, sample) == ["ok"]
                self._broker_lives()
                time.sleep(PAUSE)
        time.sleep(0.5)
        return fired

    def duplicate(self) -> int:
        """Store a record again, once as it was, once under a new id with its dedupe key.

        Returns whether the log holds both now: a broker may drop what it takes for a retry.
        """
        stored = [each for each in self.lab.stored() if ".orders." in each.topic]
        if not stored:
            return 0
        first = self.rng.choice(stored)
        self.lab.inject_raw(first.topic, first.header_map(), first.payload)
        with self._lock:
            again = self.lab.sample("orders", entity=self.rng.randrange(KEYS))
        key = first.header("dedupe_key")
        assert key is not None
        again = self.lab.keyed_like(again, first, dedupe_key=key)
        self.excused.add(again.digest)
        self.lab.inject(again)
        now = self.lab.stored_digests()
        return int(now.count(sha(first.payload)) > 1 and again.digest in now)

    def corrupt(self) -> int:
        """Store one record of each kind that no handler may be given."""
        mine = self.rng.randbytes(8)  # no body twice: one dead letter would stand for several
        broken: tuple[dict[str, Any], ...] = (
            {"payload": b"\x0a\xff\x7f" + mine},  # a field that is longer than the payload
            # A block of a type that gzip does not have.
            {"payload": GZIP + b"\x07" + mine, "content_encoding": "gzip"},
            {"schema_fqdn": "ampy.bars.v1.Bar"},
            {"drop": ("schema_version",)},
        )
        for each in broken:
            with self._lock:
                sample = self.lab.sample("orders", entity=self.rng.randrange(KEYS))
            self.lab.inject(sample, corrupt=True, **each)
        return len(broken)

    def stall(self, seconds: float) -> int:
        """Let every handler hold on to what it is given for a while; returns how many were held."""
        self.fault("stall")
        trap = Trap("", "stall")
        with self._lock:
            self.trap = trap
        time.sleep(seconds)
        self.release()
        self.healed()
        for member in self.members:
            for subscription in member.subscriptions.values():
                for each in subscription.hanging():
                    self.handled[subscription.group].add(each.digest)
                    subscription.settle(each, "ack")
        time.sleep(0.5)
        return len(trap.caught)

    # -- phases --------------------------------------------------------------------------

    def run(self, strike: Callable[[Campaign], Any]) -> Any:
        """Go through all phases; returns what the strike returned: how often it fired."""
        workers = [threading.Thread(target=self._load, args=(n,), daemon=True) for n in (0, 1)]
        workers.append(threading.Thread(target=self._control, daemon=True))
        workers.append(threading.Thread(target=self._watch, daemon=True))
        self._mark("load")
        for each in workers:
            each.start()
        try:
            time.sleep(QUIET)
            fired = strike(self)
            time.sleep(QUIET)
        finally:
            self._stop.set()
            self.release()
            if self.proxy is not None:
                with contextlib.suppress(ConformError):
                    self.proxy.restore()
            for each in workers:
                each.join(self.lab.patience(60.0))
        if self._trouble is not None:
            raise self._trouble
        self._mark("settle")
        self._settle()
        self._mark("drain")
        drained = self._drain()
        self._probe()
        self.lab.history.add("mark", detail={"phase": "drained", "drained": drained})
        self.lab.audit()
        return fired

    def _mark(self, phase: str) -> None:
        self.lab.history.add("mark", detail={"phase": phase})

    def sample(self) -> Sample:
        """Return the next record of the load: orders and bars of a few entities."""
        domain = "orders" if self.rng.random() < 0.5 else "bars"
        return self.lab.sample(domain, entity=self.rng.randrange(KEYS))

    def _load(self, number: int) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    wanted = [self.sample() for _ in range(self.rng.randint(1, 3))]
                for outcome in self.source.publish(number, *wanted):
                    self.outcomes.append((time.monotonic(), outcome))
                self._stop.wait(PAUSE)
        except ConformError as error:
            self._trouble = error
            self._stop.set()

    def _control(self) -> None:
        """Publish raw records beside: what becomes of these is the broker's doing alone."""
        while not self._stop.wait(0.1):
            with contextlib.suppress(BrokerError):
                with self._lock:
                    sample = self.lab.sample("fx", entity=self.rng.randrange(KEYS))
                self.lab.inject(sample)

    def _watch(self) -> None:
        """Look at the groups' places in the log again and again."""
        while not self._stop.wait(0.1):
            self._probe()

    def _probe(self) -> None:
        with contextlib.suppress(BrokerError):
            self.lab.note_checkpoints()

    def _settle(self) -> None:
        """Publish one more record of every key: what comes before them has no excuse to wait."""
        deadline = time.monotonic() + self.lab.patience(DRAIN)
        for domain in ("orders", "bars", "fx"):
            for entity in range(KEYS):
                for number in (0, 1):
                    while time.monotonic() < deadline:
                        last = self.lab.sample(domain, entity=entity)
                        if self.source.publish(number, last) == ["ok"]:
                            break
                        self._broker_lives()
                        time.sleep(0.05)

    def _drain(self) -> bool:
        """Wait until every stored record took effect in every group, or is a dead letter."""
        began = time.monotonic()
        deadline, last = (began + self.lab.patience(each) for each in (DRAIN, AGAIN))
        while self.left_over():
            # What the broker still counts as unacknowledged is not lost, only late.
            now = time.monotonic()
            if now > last or (now > deadline and not self.lab.unacknowledged()):
                return False
            self._broker_lives()
            for each in self.members:
                each.driver.check()
            time.sleep(0.05)
        return True

    def _broker_lives(self) -> None:
        """Spare the patience for a broker that is gone."""
        if not self.lab.broker.alive:
            raise BrokerError(f"the {self.lab.broker.kind} broker is gone")

    def left_over(self) -> int:
        """Return how many stored records are not settled in some group."""
        records = self.lab.wire.records()
        graves = {sha(each.payload) for each in records if is_dead(each)}
        live = {sha(each.payload) for each in records if not is_dead(each)}
        waiting = live - graves - self.excused
        return sum(len(waiting - handled) for handled in self.handled.values())

    def recovery(self, since: float) -> float | None:
        """Return the seconds from `since` to the first of three publishes in a row that succeeded."""
        later = [each for each in self.outcomes if each[0] >= since]
        for place in range(len(later) - 2):
            if all(outcome == "ok" for _, outcome in later[place : place + 3]):
                return later[place][0] - since
        return None


def sha(payload: bytes) -> str:
    """Return the hex SHA-256 of a payload; the load's records are not compressed."""
    return hashlib.sha256(payload).hexdigest()
