"""One interleaved run: the binding and the raw client in turns, A B B A, until it can be told.

Both sides are connected all the time and have the same broker, machine and minutes; only one of
them is under load at a time. One run judges every limit of the contract.
"""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ampy_conformance.load import intervals, log, probe
from ampy_conformance.load.exceedance import LOST, SECOND, percentile
from ampy_conformance.load.side import LEAD
from ampy_conformance.load.verdict import Decision, Judge, Outcome, Round

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ampy_conformance.broker import Observer
    from ampy_conformance.load.log import Mark
    from ampy_conformance.load.probe import Usage
    from ampy_conformance.load.side import Side, Stretch

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0)
# Blocks of a second; their p99 resampled gives the interval of the ratio to the raw client.
RATIO_BLOCKS = 5
# A guess of how long a log is read, for the progress alone.
READING_SECONDS = 5.0


class Tell(Protocol):
    """Who is told of the progress: what is being done, and the seconds that it takes."""

    def __call__(self, what: str, seconds: float, /) -> None:
        """Take note."""


@dataclass(frozen=True)
class Shape:
    """How long everything takes: seconds of one stretch, its warm-up, how many looks.

    `drain`: how long after the last send a record may still come; `windows`: one-second windows
    of a throughput stretch.
    """

    stretch: float
    warm_up: float
    drain: float
    looks: int
    windows: int
    quick: bool

    @classmethod
    def full(cls, stretch: float = 30.0) -> Shape:
        """What certifies: two looks at the most (60 s and 120 s of each side), and a confirmation."""
        return cls(stretch, 5.0, 10.0, 2, 6, quick=False)

    @classmethod
    def short(cls) -> Shape:
        """What develops: some twenty seconds, which prove gross failures only."""
        return cls(3.0, 1.0, 3.0, 1, 3, quick=True)

    @classmethod
    def glance(cls) -> Shape:
        """What catches planted bugs: some seconds."""
        return cls(1.6, 0.4, 1.5, 1, 2, quick=True)

    @classmethod
    def of(cls, duration: float | None, *, quick: bool) -> Shape:
        """Return the shape for a wish: `duration` is the seconds of one side in the first look."""
        if quick:
            return cls.short()
        return cls.full() if duration is None else cls.full(duration / 2)


@dataclass
class Limit:
    """One limit of the contract, and the judge that decides it."""

    clause: str
    domains: tuple[str, ...]
    limit_ms: int
    judge: Judge
    decision: Decision | None = None

    def facts(self) -> dict[str, Any]:
        """Return it as the report has it."""
        found: dict[str, Any] = {"clause": self.clause, "domains": list(self.domains)}
        found["limit_ms"] = self.limit_ms
        return found | (self.decision.facts() if self.decision else {})


@dataclass
class Latency:
    """What a latency run came to."""

    limits: list[Limit]
    stretches: list[Stretch] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)

    def of(self, clause: str) -> Decision | None:
        """Return the decision on a clause; None where no domain of it was under load."""
        return next((each.decision for each in self.limits if each.clause == clause), None)

    def by_side(self, side: str) -> list[Stretch]:
        """Return the stretches of one side."""
        return [each for each in self.stretches if each.side == side]


def limits_of(
    known: Mapping[str, tuple[str, int]], domains: Sequence[str], shape: Shape
) -> list[Limit]:
    """Group domains by their clause; `known` maps a domain to its clause and limit in ms."""
    found: dict[tuple[str, int], list[str]] = {}
    for each in domains:
        if each in known:
            found.setdefault(known[each], []).append(each)
    return [
        Limit(clause, tuple(mine), limit, Judge(limit * 1_000_000, looks=shape.looks))
        for (clause, limit), mine in sorted(found.items())
    ]


def latency(
    binding: Side,
    control: Side,
    limits: list[Limit],
    shape: Shape,
    seed: str,
    tell: Tell,
    wire: Observer,
    beside: Callable[[], None] = lambda: None,
) -> Latency:
    """Load both sides in turns until every limit is decided, at most `looks` + 1 rounds.

    `beside` is called once while the binding is under load, every time: what else is going on.
    Nobody passes by a driver's word alone: what it says was delivered has to be in the log.
    """
    result = Latency(limits)
    for number in range(shape.looks + 1):
        undecided = [each for each in limits if each.decision is None]
        if not undecided:
            break
        stretches, usages = [], []
        for turn, side in enumerate((binding, control, control, binding)):
            tell(f"round {number + 1}: {side.name}", shape.stretch + shape.warm_up)
            also = beside if side is binding else None
            one, usage = observed(
                side, partial(_stretch, side, shape, f"{seed} {number} {turn}", also)
            )
            stretches.append(one)
            if LOST in one.latency:
                side.renew()
            usages.append(usage)
        result.stretches += stretches
        result.usages += usages
        mine = [
            usage for usage, one in zip(usages, stretches, strict=True) if one.side == binding.name
        ]
        starved = next(filter(None, (each.starved(binding.pids) for each in mine)), "")
        for limit in undecided:
            sides = {
                side.name: [e.series(limit.domains) for e in stretches if e.side == side.name]
                for side in (binding, control)
            }
            limit.decision = limit.judge.add(
                Round(sides[binding.name], sides[control.name], starved)
            )
    for limit in limits:
        if limit.decision is not None and limit.decision.outcome is Outcome.PASS:
            limit.decision = _believed(limit.decision, binding, limit.domains, result, tell, wire)
    return result


def _believed(
    decision: Decision,
    binding: Side,
    domains: Sequence[str],
    result: Latency,
    tell: Tell,
    wire: Observer,
) -> Decision:
    """Return a pass as it is, unless records that were stamped as delivered were never stored."""
    for domain in domains:
        tell(f"reading the log: {domain}", READING_SECONDS)
        found = log.stored(wire, binding.pattern(domain), binding.marker)
        told = [n for one in result.by_side(binding.name) for n in one.delivered(domain)]
        absent = sum(each not in found for each in told)
        if absent:
            why = (
                f"stamps: {absent} of {len(told)} records of {domain} that the driver stamped as "
                "delivered are not in the log"
            )
            return replace(decision, outcome=Outcome.INCONCLUSIVE, reason=why)
    return decision


def _stretch(side: Side, shape: Shape, seed: str, beside: Callable[[], None] | None) -> Stretch:
    timer = None
    if beside is not None:
        # Soon after the warm-up: what is going on beside the load has to be over before its end.
        timer = threading.Timer(shape.warm_up + LEAD + 0.1, beside)
        timer.start()
    try:
        return side.stretch(shape.stretch + shape.warm_up, shape.warm_up, shape.drain, seed)
    finally:
        if timer is not None:
            timer.cancel()
            timer.join()


def observed(side: Side, work: Callable[[], Stretch]) -> tuple[Stretch, Usage]:
    """Run one stretch with the probe beside it; returns what the machine did meanwhile."""
    before = probe.snapshot(side.pids, side.beside)
    with probe.Hiccups() as hiccups:
        one = work()
    after = probe.snapshot(side.pids, side.beside)
    return one, probe.between(before, after, hiccups.facts())


# -- figures of the report ----------------------------------------------------------------


def milliseconds(value: int) -> float | None:
    """Return ms, None for what never came."""
    return None if value == LOST else round(value / 1e6, 3)


def quantiles(values: Sequence[int]) -> dict[str, float | None]:
    """Return exact quantiles in ms; None is infinite."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {f"{each:g}": milliseconds(percentile(ordered, each)) for each in QUANTILES}


def counted(one: Stretch) -> list[tuple[int, int]]:
    """Return (intended time, latency) behind the warm-up."""
    begin = one.warm_up * SECOND
    return [(at, each) for at, each in zip(one.times, one.latency, strict=True) if at >= begin]


def by_second(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the latencies of each second, sorted; for pictures, never for verdicts."""
    found: dict[int, list[int]] = {}
    for at, each in pairs:
        found.setdefault(at // SECOND, []).append(each)
    return [sorted(found[each]) for each in sorted(found)]


def stretch_facts(one: Stretch, usage: Usage, began_ns: int) -> dict[str, Any]:
    """Return a stretch as the report has it; per second: p50, p99 and the worst, in ms."""
    pairs = counted(one)
    seconds = by_second(pairs)
    late, blocked = one.late, one.blocked
    actual = one.from_actual()
    return {
        "side": one.side,
        "begins": round((one.start_ns - began_ns) / 1e9 + one.warm_up, 3),
        "seconds": round(one.seconds - one.warm_up, 3),
        "records": len(pairs),
        "lost": sum(each == LOST for _, each in pairs),
        "repeats": one.repeats,
        "achieved": round(one.achieved, 5),
        "saturated": one.saturated,
        "quantiles_ms": quantiles([each for _, each in pairs]),
        "per_second_ms": [
            [milliseconds(percentile(each, share)) for share in (0.5, 0.99, 1.0)]
            for each in seconds
        ],
        "late_ms": milliseconds(percentile(late, 0.99)) if late else None,
        "blocked_ms": milliseconds(percentile(blocked, 0.99)) if blocked else None,
        "p99_from_actual_send_ms": milliseconds(percentile(actual, 0.99)) if actual else None,
        "machine": usage.facts(),
    }


def ratio(result: Latency, binding: str, control: str, seed: int) -> list[float] | None:
    """Return the ratio of the p99 of seconds, binding to raw, with its interval (95 %).

    It is the figure that carries over to another machine. None where a side has too few seconds
    or where either lost its records.
    """
    sides = []
    for name in (binding, control):
        blocks = [each for one in result.by_side(name) for each in by_second(counted(one))]
        found = [percentile(each, 0.99) for each in blocks]
        sides.append([float(each) for each in found if each != LOST])
    if min(map(len, sides)) < RATIO_BLOCKS:
        return None
    return rounded(intervals.ratio_interval(*sides, seed=seed))


def rounded(interval: Sequence[float]) -> list[float] | None:
    """Return an interval as the report has it; None where a bound is not finite."""
    return [round(each, 3) for each in interval] if all(map(math.isfinite, interval)) else None


def latency_facts(result: Latency, binding: str, control: str, seed: int) -> dict[str, Any]:
    """Return a latency run as the report has it."""
    began = result.stretches[0].start_ns if result.stretches else 0
    return {
        "limits": [each.facts() for each in result.limits],
        "quantiles_ms": {
            name: quantiles([each for one in result.by_side(name) for _, each in counted(one)])
            for name in (binding, control)
        },
        "ratio_p99": ratio(result, binding, control, seed),
        "stretches": [
            stretch_facts(one, usage, began)
            for one, usage in zip(result.stretches, result.usages, strict=True)
        ],
    }


# -- throughput ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Throughput:
    """Acknowledged records a second, in windows; `verified` of `acknowledged` are in the log."""

    windows: Mapping[str, Sequence[float]]
    acknowledged: Mapping[str, int]
    verified: Mapping[str, int]
    usages: Sequence[Usage]
    in_flight: int

    def interval(self, side: str, seed: int) -> tuple[float, float, float]:
        """Return the median of the windows with its bounds (95 %, each side 2.5 %)."""
        return intervals.median_interval(self.windows[side], seed=seed)

    def verdict(self, binding: str, control: str, target: int, seed: int) -> tuple[Outcome, str]:
        """Return the verdict on the throughput, and why it is none or not a pass.

        A record that was acknowledged and is not in the log fails; a miss of the target is a
        warning where the raw client reaches it, because the contract lays down no load (A-54).
        """
        acknowledged = self.acknowledged[binding]
        if not acknowledged:
            return Outcome.INCONCLUSIVE, "nothing was acknowledged"
        if missing := acknowledged - self.verified[binding]:
            return (
                Outcome.FAIL,
                f"{missing} of {acknowledged} records acknowledged under load are not in the log",
            )
        low, high = self.interval(binding, seed)[1:]
        if low >= target:
            return Outcome.PASS, ""
        middle, *raw = self.interval(control, seed)
        shown = f"{target} records/s are not shown with one producer: {low:.0f} to {high:.0f}"
        if raw[0] < target:
            return Outcome.INCONCLUSIVE, (
                f"environment: {shown}, and the raw client is not proven to reach them here "
                f"either ({raw[0]:.0f} to {raw[1]:.0f})"
            )
        return Outcome.WARN, f"{shown} (the raw client: {middle:.0f})"

    def said(self, binding: str, control: str, seed: int) -> str:
        """Return the figures in words."""
        middle, low, high = self.interval(binding, seed)
        raw = self.interval(control, seed)[0]
        return f"{middle:.0f} records/s ({low:.0f} to {high:.0f}), raw client {raw:.0f}"

    def facts(self, binding: str, control: str, target: int, seed: int) -> dict[str, Any]:
        """Return it as the report has it."""
        ratio = intervals.ratio_interval(self.windows[binding], self.windows[control], seed=seed)
        outcome, reason = self.verdict(binding, control, target, seed)
        return {
            "target": target,
            "outcome": str(outcome),
            "reason": reason,
            "in_flight": self.in_flight,
            "rates": {
                side: {
                    "median": round(self.interval(side, seed)[0]),
                    "low": round(self.interval(side, seed)[1]),
                    "high": round(self.interval(side, seed)[2]),
                    "windows": [round(each) for each in self.windows[side]],
                    "acknowledged": self.acknowledged[side],
                    "verified": self.verified[side],
                }
                for side in (binding, control)
            },
            "ratio": rounded(ratio),
            "machine": [each.facts() for each in self.usages],
        }


FLOOD_WARM_UP = 2
MOST_A_SECOND = 50_000


def throughput(
    binding: Side,
    control: Side,
    shape: Shape,
    seed: str,
    tell: Tell,
    wire: Observer,
    in_flight: int = 512,
) -> Throughput:
    """Let each side send as fast as its window allows, A B B A, and look at what is stored.

    A record counts in the second in which the log has grown by it, by the suite's own clock, and
    only where its sender says that it was acknowledged. The whole log is read afterwards.
    """
    seconds = FLOOD_WARM_UP + shape.windows
    floods: dict[str, list[tuple[Stretch, list[Mark]]]] = {binding.name: [], control.name: []}
    usages = []
    for turn, side in enumerate((binding, control, control, binding)):
        tell(f"throughput: {side.name}", seconds)
        marks: list[Mark] = []

        @contextlib.contextmanager
        def watched(start: int, marks: list[Mark] = marks) -> Iterator[None]:
            with log.Marks(wire, start, seconds) as taken:
                yield
            marks += taken.taken

        flood = partial(
            side.flood, seconds, in_flight, seconds * MOST_A_SECOND, f"{seed} flood {turn}", watched
        )
        one, usage = observed(side, flood)
        usages.append(usage)
        floods[side.name].append((one, marks))
    windows: dict[str, list[float]] = {name: [] for name in floods}
    acknowledged, verified = dict.fromkeys(floods, 0), dict.fromkeys(floods, 0)
    for side in (binding, control):
        tell(f"reading the log: {side.name}", READING_SECONDS)
        every = [mark for _, marks in floods[side.name] for mark in marks]
        found = log.stored(wire, side.pattern(side.offered.domains[0]), side.marker, every)
        older = 0
        for one, marks in floods[side.name]:
            numbers = range(one.first, one.first + len(one.times))
            own = {n: min(found[n] - older, len(marks)) for n in numbers if n in found}
            good = one.acknowledged
            windows[side.name] += log.rates(good, own, marks, FLOOD_WARM_UP, all_sent=one.all_sent)
            acknowledged[side.name] += len(good)
            verified[side.name] += sum(each in own for each in good)
            older += len(marks)
    return Throughput(
        windows=windows,
        acknowledged=acknowledged,
        verified=verified,
        usages=usages,
        in_flight=in_flight,
    )
