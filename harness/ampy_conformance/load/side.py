"""One side of a load: a binding (or the raw client) in two processes, one sends, one receives."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import HarnessError
from ampy_conformance.driver import DriverError, DriverRefused
from ampy_conformance.load import schedule
from ampy_conformance.load.exceedance import LOST, SECOND, Series, percentile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.samples import Samples
    from ampy_conformance.driver import Driver
    from ampy_conformance.load.schedule import Offered, Schedule

# Starts a process of the binding and returns it, with what it says it is.
Connect = Callable[[], "tuple[Driver, str]"]

# Between telling a driver its plan and the first send.
LEAD = 0.4
# How much longer than its plan a driver may take to send the samples.
SLACK = 30.0
NEVER = -1
OK, FAIL = 0, 1
# Stamps of a clock that is read before a frame is written cannot be later than the frame.
GRAIN = 1_000_000
# A median that grows by this factor, to more than so many ns, is no steady state.
GROWTH, WORTH = 1.5, 10_000_000

TUNING = {
    "max_in_flight": 2048,
    "handler_timeout_ms": 30_000,
    "redelivery_ms": 30_000,
    "publish_timeout_ms": 5_000,
}


class ClockTrouble(HarnessError):
    """Stamps that cannot be: no verdict may rest on them."""


@dataclass(frozen=True)
class Access:
    """Where a side finds the broker, and under which names.

    `beside`: other processes of the run by name (the broker, the harness): not foreign ones.
    """

    url: str
    names: Mapping[str, str]
    group: Callable[[str], str]
    state_dir: str
    beside: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Told:
    """What a driver told of one plan."""

    rows: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    repeats: int = 0


@dataclass(frozen=True)
class Stretch:
    """What became of the records of one uninterrupted stretch, by their index in the schedule.

    `first`: the number of the first of them. Times in ns from its start. `latency` is LOST where a
    record was refused, or never delivered.
    """

    side: str
    first: int
    start_ns: int
    times: Sequence[int]
    picks: Sequence[int]
    domains: Sequence[str]
    called: Sequence[int]
    returned: Sequence[int]
    outcomes: Sequence[int]
    latency: Sequence[int]
    repeats: int
    seconds: float
    warm_up: float

    def series(self, domains: Sequence[str]) -> Series:
        """Return the latencies of these domains, without the warm-up."""
        wanted, begin = set(domains), self.warm_up * SECOND
        chosen = [
            index
            for index, at in enumerate(self.times)
            if at >= begin and self.domains[index] in wanted
        ]
        return Series(
            [self.times[each] for each in chosen], [self.latency[each] for each in chosen]
        )

    @property
    def acknowledged(self) -> list[int]:
        """The numbers of the records that were acknowledged."""
        return [self.first + index for index, each in enumerate(self.outcomes) if each == OK]

    @property
    def all_sent(self) -> bool:
        """Whether every record of the plan was sent."""
        return NEVER not in self.called

    def delivered(self, domain: str) -> list[int]:
        """Return the numbers of the records of a domain that were delivered."""
        return [
            self.first + index
            for index, each in enumerate(self.latency)
            if each != LOST and self.domains[index] == domain
        ]

    @property
    def late(self) -> list[int]:
        """By how much each call came after its time: harness or a binding that blocks; sorted."""
        return sorted(
            called - at
            for called, at in zip(self.called, self.times, strict=True)
            if called != NEVER
        )

    @property
    def blocked(self) -> list[int]:
        """How long each call took until its answer; sorted."""
        pairs = zip(self.called, self.returned, strict=True)
        return sorted(after - before for before, after in pairs if after != NEVER)

    @property
    def achieved(self) -> float:
        """The share of the scheduled records that were sent within a second of their time."""
        return sum(each < SECOND for each in self.late) / len(self.times) if self.times else 0.0

    def from_actual(self) -> list[int]:
        """Return latencies from the actual send, sorted: the mistake called coordinated omission."""
        return sorted(
            LOST if each == LOST else at + each - called
            for at, each, called in zip(self.times, self.latency, self.called, strict=True)
            if called != NEVER
        )

    @property
    def saturated(self) -> str:
        """Return how it shows that the side cannot keep up with what is offered; "" where it does."""
        end = self.times[-1] if self.times else 0
        waiting = sum(
            each != LOST and at + each > end
            for at, each in zip(self.times, self.latency, strict=True)
        )
        rate = len(self.times) / max(1.0, self.seconds)
        if waiting > max(20.0, rate):
            return f"{waiting} records were still outstanding when the last one was sent"
        third = len(self.latency) // 3
        if third >= 20:
            first, last = (sorted(e) for e in (self.latency[:third], self.latency[-third:]))
            before, after = percentile(first, 0.5), percentile(last, 0.5)
            if after > max(WORTH, GROWTH * before):
                grown = "infinite" if after == LOST else f"{after / 1e6:.0f} ms"
                return f"the median grew from {before / 1e6:.0f} ms to {grown}"
        return ""


class Side:
    """The handles of one side; `close` ends both processes."""

    def __init__(
        self,
        name: str,
        connect: Connect,
        access: Access,
        contract: Contract,
        samples: Samples,
        offered: Offered,
        *,
        env: str,
        marker: str,
        first: int = 0,
        tuning: Mapping[str, int] | None = None,
    ) -> None:
        self.name = name
        self.env = env
        self.marker = marker
        self.offered = offered
        self.templates = schedule.templates(samples, offered, marker, env)
        self._frames = [each.frame(marker) for each in self.templates]
        self._contract = contract
        self._access = access
        self._tuning = {**TUNING, **(tuning or {})}
        self._next = first
        # Records that are delivered beside the load, by number: when, on the host's clock.
        self.extra: dict[str, int] = {}
        self.others: dict[int, int] = {}
        self._plans = 0
        self._buses = 0
        self._connect = connect
        self._generation = 0
        self._serves: str | None = None
        self._start = "latest"
        self.subscriptions: dict[str, str] = {}
        self.sender, self._client = connect()
        try:
            self.receiver, _ = connect()
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._believe(self.sender)
        self._bus(self.sender, "send")
        self.producer("send", "producer")
        self._receive()

    def _receive(self) -> None:
        """Let the receiver join, in groups of its own: what was sent before is none of its business."""
        self._believe(self.receiver)
        self._bus(self.receiver, "receive")
        for domain in self.offered.domains:
            handle = f"load-{domain}"
            self.join(handle, domain)
            self.subscriptions[domain] = handle

    def _believe(self, driver: Driver) -> None:
        clock = driver.check_clock()
        if not clock.trusted:
            raise ClockTrouble(
                f"{self.name}: {clock.reason.partition(';')[0]}: latency is measured with the "
                "host's monotonic clock, which the driver's stamps have to be on"
            )

    def renew(self) -> None:
        """Replace the receiver: what it still has to work off would burden the other side's turn.

        One that can only join at the beginning stays: it would have everything to work off.
        """
        if self._start == "earliest":
            return
        self.receiver.close()
        self._generation += 1
        self.receiver, _ = self._connect()
        self._receive()
        if self._serves is not None:
            self.serve_replay(self._serves)

    def _bus(self, driver: Driver, handle: str, env: str | None = None) -> None:
        driver.request(
            "open",
            bus=handle,
            url=self._access.url,
            env=env or self.env,
            state_dir=self._access.state_dir,
            names=dict(self._access.names),
            tuning=self._tuning,
        )

    def serve_replay(self, domain: str) -> None:
        """Let the receiver answer replay requests for its subscription to a domain."""
        self.receiver.request(
            "serve_replay", bus="receive", subscription=self.subscriptions[domain]
        )
        self._serves = domain

    def producer(self, bus: str, handle: str) -> None:
        """Open a producer on a bus of the sender."""
        self.sender.request(
            "open_producer", bus=bus, producer=handle, name="load@1", source="load", run_id="load"
        )

    def pattern(self, domain: str) -> str:
        """Return the pattern of all topics of a domain under load."""
        major = next(
            each.sample.topic.split(".")[3]
            for each in self.templates
            if each.sample.domain == domain
        )
        return f"ampy.{self.env}.{domain}.{major}.>"

    def join(self, handle: str, domain: str, credit: int | None = None) -> None:
        """Subscribe from now on; from the beginning, where a binding can do nothing else.

        That is the same before anything was sent.
        """
        try:
            self.subscribe(handle, domain, start=self._start, credit=credit)
        except DriverRefused as refusal:
            if refusal.code != "unsupported" or self._generation or self._start == "earliest":
                raise
            self._start = "earliest"
            self.subscribe(handle, domain, start=self._start, credit=credit)

    def subscribe(self, handle: str, domain: str, *, start: str, credit: int | None) -> None:
        """Let the receiver subscribe to a domain."""
        self.receiver.request(
            "subscribe",
            bus="receive",
            subscription=handle,
            pattern=self.pattern(domain),
            group=self._access.group(f"{handle}-{self.name}-{self.env}-{self._generation}"),
            member="load",
            start=start,
            credit=credit or self._tuning["max_in_flight"],
        )

    @property
    def client(self) -> str:
        """Who this side is, with its client library."""
        return self._client

    @property
    def next_number(self) -> int:
        """The number that the next record will have."""
        return self._next

    @property
    def pids(self) -> dict[str, int]:
        """The processes of this side."""
        found = {f"{self.name} sender": self.sender.pid, f"{self.name} receiver": self.receiver.pid}
        return {name: pid for name, pid in found.items() if pid}

    @property
    def beside(self) -> Mapping[str, int]:
        """Processes of the run that belong to no side."""
        return self._access.beside

    # -- open loop ------------------------------------------------------------------------

    def stretch(self, seconds: float, warm_up: float, drain: float, seed: str) -> Stretch:
        """Offer the load for so many seconds, warm-up included, and return what became of it.

        What is not delivered `drain` seconds after the end is lost.
        """
        plan = schedule.poisson(self.offered, self.templates, seconds, seed)
        domains = [self.templates[each].sample.domain for each in plan.picks]
        first, self._next = self._next, self._next + len(plan.times)
        start = time.monotonic_ns() + int(LEAD * SECOND)
        until = int((seconds + drain) * SECOND)
        common = {"marker": self.marker, "first": first, "start_ns": start, "until_ns": until}
        received = [
            self._begin(
                self.receiver,
                {
                    **common,
                    "subscription": handle,
                    "expect": domains.count(domain) + self.extra.get(domain, 0),
                },
            )
            for domain, handle in self.subscriptions.items()
        ]
        sent = self._send(common, plan)
        deadline = (start + until) / SECOND + SLACK
        rows = self._sent(sent, deadline, start, first, len(plan.times))
        delivered, repeats = self._delivered(received, deadline, start, first, len(plan.times))
        return self._stretch(
            plan, domains, first, start, rows, delivered, repeats, seconds, warm_up
        )

    def _begin(self, driver: Driver, fields: dict[str, Any]) -> Told:
        self._plans += 1
        handle = f"load-{self._plans}"
        found = Told()

        def take(frame: Mapping[str, Any]) -> None:
            if "repeats" in frame:
                found.repeats = frame["repeats"]
            if frame.get("numbers"):
                found.rows.append((dict(frame), time.monotonic_ns()))
            if frame.get("done"):
                found.done.set()

        driver.on_event(handle, take)
        driver.request("load_plan", load=handle, **fields)
        return found

    def _send(self, common: Mapping[str, Any], plan: Schedule, **more: Any) -> Told:
        return self._begin(
            self.sender,
            {
                "producer": "producer",
                **common,
                "schedule": plan.times,
                "picks": plan.picks,
                "templates": self._frames,
                **more,
            },
        )

    def _wait(
        self, found: Told, driver: Driver, deadline: float
    ) -> list[tuple[dict[str, Any], int]]:
        """Return what was told of a plan; the driver, which is listened to further on, keeps none."""
        while not found.done.wait(0.2):
            driver.check()
            if time.monotonic() > deadline:
                raise DriverError(f"{self.name}: the load plan ended, and its samples did not come")
        rows, found.rows = found.rows, []
        return rows

    def _sent(
        self, found: Told, deadline: float, start: int, first: int, count: int
    ) -> tuple[array[int], array[int], array[int]]:
        """Return when each record was called, answered, and with what outcome."""
        told = self._wait(found, self.sender, deadline)
        called, returned = array("q", [NEVER]) * count, array("q", [NEVER]) * count
        outcomes = array("b", [2]) * count
        for frame, now in told:
            rows = self._rows(frame, ("called_ns", "returned_ns", "outcomes"), self.sender)
            for number, before, after, outcome in rows:
                index = self._index(number, first, count, self.sender)
                self._possible(before, after, start, now)
                called[index], returned[index], outcomes[index] = before, after, outcome
        return called, returned, outcomes

    def _delivered(
        self, received: Sequence[Told], deadline: float, start: int, first: int, count: int
    ) -> tuple[dict[int, int], int]:
        """Return when each record was first delivered, and how many deliveries were repeated."""
        delivered: dict[int, int] = {}
        for each in received:
            for frame, now in self._wait(each, self.receiver, deadline):
                for number, at in self._rows(frame, ("delivered_ns",), self.receiver):
                    if at > now - start + GRAIN:
                        raise ClockTrouble(f"{self.name}: a delivery is stamped after it was told")
                    if 0 <= number < first:  # of a stretch before, and late; or of no schedule
                        self.others[number] = start + at
                        continue
                    if at < -GRAIN:
                        raise ClockTrouble(f"{self.name}: a delivery is stamped before the load")
                    delivered.setdefault(self._index(number, first, count, self.receiver), at)
        return delivered, sum(each.repeats for each in received)

    def _rows(self, frame: Mapping[str, Any], fields: Sequence[str], driver: Driver) -> Any:
        columns = [frame["numbers"], *(frame.get(each, ()) for each in fields)]
        if len({len(each) for each in columns}) != 1:
            raise driver.violated(
                f"load_samples: numbers, {', '.join(fields)} are not of one length"
            )
        if not {*map(type, itertools.chain(*columns))} <= {int}:  # JSON Schema takes 5.0 for one
            raise driver.violated(f"load_samples: numbers, {', '.join(fields)} are no integers")
        return zip(*columns, strict=True)

    def _index(self, number: int, first: int, count: int, driver: Driver) -> int:
        if not first <= number < first + count:
            raise driver.violated("load_samples: a number that is none of the plan's")
        return number - first

    def _possible(self, called: int, returned: int, start: int, now: int) -> None:
        if called < -GRAIN or called > now - start + GRAIN or returned > now - start + GRAIN:
            raise ClockTrouble(f"{self.name}: a call is stamped outside the time of the load")
        if returned != NEVER and returned < called:
            raise ClockTrouble(f"{self.name}: a call is stamped as answered before it was made")

    def _stretch(
        self,
        plan: Schedule,
        domains: Sequence[str],
        first: int,
        start: int,
        rows: tuple[array[int], array[int], array[int]],
        delivered: Mapping[int, int],
        repeats: int,
        seconds: float,
        warm_up: float,
    ) -> Stretch:
        called, returned, outcomes = rows
        latency = array("q", [LOST]) * len(plan.times)
        for index, at in enumerate(called):
            if at != NEVER and at < plan.times[index] - GRAIN:
                raise ClockTrouble(f"{self.name}: a record was sent before it was due")
        for index, at in delivered.items():
            if called[index] == NEVER:
                raise ClockTrouble(f"{self.name}: a record was delivered, and none such was sent")
            if outcomes[index] == FAIL:
                continue
            latency[index] = max(0, at - plan.times[index])
            if at < called[index]:
                raise ClockTrouble(
                    f"{self.name}: a record is stamped as delivered before it was sent"
                )
        return Stretch(
            side=self.name,
            first=first,
            start_ns=start,
            times=plan.times,
            picks=plan.picks,
            domains=domains,
            called=called,
            returned=returned,
            outcomes=outcomes,
            latency=latency,
            repeats=repeats,
            seconds=seconds,
            warm_up=warm_up,
        )

    # -- a fixed window --------------------------------------------------------------------

    def flood(
        self,
        seconds: float,
        in_flight: int,
        count: int,
        seed: str,
        watch: Callable[[int], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> Stretch:
        """Send as fast as answers come, `in_flight` at most open; delivery is not looked at.

        What `watch` makes of the beginning (host's monotonic clock, ns) is entered meanwhile.
        """
        plan = schedule.saturating(self.offered, self.templates, count, seed)
        first, self._next = self._next, self._next + count
        start = time.monotonic_ns() + int(LEAD * SECOND)
        until = int(seconds * SECOND)
        common = {"marker": self.marker, "first": first, "start_ns": start, "until_ns": until}
        sent = self._send(common, plan, in_flight=in_flight)
        with watch(start):
            rows = self._sent(sent, (start + until) / SECOND + SLACK, start, first, count)
        domains = [self.templates[each].sample.domain for each in plan.picks]
        return self._stretch(plan, domains, first, start, rows, {}, 0, seconds, 0.0)

    def close(self) -> None:
        """End both processes."""
        for name in ("sender", "receiver"):
            driver: Driver | None = getattr(self, name, None)
            if driver is not None:
                with contextlib.suppress(DriverError):
                    driver.stop()
                driver.close()
