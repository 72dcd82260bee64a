"""How often is the verdict wrong? Simulated latencies of which the true share is known.

`python -m ampy_conformance.load.simulate [RUNS]` prints the table of docs/slo.md. The verdict is
the one of `verdict.Judge`, the same code that judges a run.
"""

from __future__ import annotations

import functools
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

from ampy_conformance.load.exceedance import LOST, SECOND, Series, percentile
from ampy_conformance.load.intervals import clopper_pearson
from ampy_conformance.load.verdict import ALLOWED, Judge, Outcome, Round

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 50_000_000
RATE = 100.0  # records a second and side; the shares do not depend on it
STRETCH = 30.0  # seconds; a round has two of each side
MS = 1_000_000
WORKERS = 4


def arrivals(rng: random.Random, seconds: float, rate: float = RATE) -> Iterator[int]:
    """Yield the intended times (ns) of Poisson arrivals."""
    at = rng.expovariate(rate)
    while at < seconds:
        yield int(at * SECOND)
        at += rng.expovariate(rate)


def constant(rng: random.Random, seconds: float, *, base: float) -> Series:
    """Every record takes about `base` ms."""
    times = list(arrivals(rng, seconds))
    return Series(times, [int((base + rng.expovariate(1.0)) * MS) for _ in times])


def quick(rng: random.Random, seconds: float) -> Series:
    """Be as the raw client is on an idle machine."""
    return constant(rng, seconds, base=2.0)


def bursty(rng: random.Random, seconds: float, *, gap: float, stall: float = 0.1) -> Series:
    """Serve at once, but for stalls: exponential ones of mean `stall` s, `gap` s apart on average.

    A record that comes during a stall waits for its end. The true share beyond a limit L is
    stall * exp(-L / stall) / (gap + stall).
    """
    times = list(arrivals(rng, seconds))
    latencies = []
    begin = rng.expovariate(1 / gap)
    end = begin + rng.expovariate(1 / stall)
    for each in times:
        now = each / SECOND
        while now >= end:
            begin = end + rng.expovariate(1 / gap)
            end = begin + rng.expovariate(1 / stall)
        wait = end - now if now >= begin else 0.0
        latencies.append(int(wait * SECOND) + int(rng.expovariate(0.5) * MS))
    return Series(times, latencies)


def lossy(rng: random.Random, seconds: float, *, share: float) -> Series:
    """Lose a share of the records, each by itself."""
    times = list(arrivals(rng, seconds))
    return Series(times, [LOST if rng.random() < share else 2 * MS for _ in times])


def stalled_once(rng: random.Random, seconds: float, *, chance: float, stall: float) -> Series:
    """Be quick, but for one stall of the machine in some of the stretches."""
    one = constant(rng, seconds, base=2.0)
    if rng.random() >= chance:
        return one
    begin = rng.uniform(0, seconds - stall)
    latencies = [
        int((begin + stall - at / SECOND) * SECOND) if 0 <= at / SECOND - begin < stall else was
        for at, was in zip(one.at, one.latency, strict=True)
    ]
    return Series(one.at, latencies)


def gap_for(share: float, stall: float = 0.1) -> float:
    """Return the gap between stalls with which `share` of the records exceed the limit."""
    return stall * exp(-LIMIT / SECOND / stall) / share - stall


@dataclass(frozen=True)
class Scene:
    """A binding whose true share is known; `truth` is the only verdict that is not wrong.

    `truth` None: the machine is at fault, and any failure is wrong.
    """

    name: str
    binding: Callable[[random.Random, float], Series]
    truth: Outcome | None
    control: Callable[[random.Random, float], Series] = quick


def _bursts(share: float) -> Callable[[random.Random, float], Series]:
    return functools.partial(bursty, gap=gap_for(share))


SCENES = (
    Scene("constant 10 ms", functools.partial(constant, base=10.0), Outcome.PASS),
    Scene("bursts, 0.3 % over", _bursts(0.003), Outcome.PASS),
    Scene("bursts, 0.5 % over", _bursts(0.005), Outcome.PASS),
    Scene("bursts, 0.8 % over", _bursts(0.008), Outcome.PASS),
    Scene("bursts, 1.25 % over", _bursts(0.0125), Outcome.FAIL),
    Scene("bursts, 2 % over", _bursts(0.02), Outcome.FAIL),
    Scene("bursts, 4 % over", _bursts(0.04), Outcome.FAIL),
    Scene("constant 60 ms", functools.partial(constant, base=60.0), Outcome.FAIL),
    Scene("loses 0.3 %", functools.partial(lossy, share=0.003), Outcome.PASS),
    Scene("loses 2 %", functools.partial(lossy, share=0.02), Outcome.FAIL),
    Scene(
        "a stall of 4 s in every stretch",
        functools.partial(stalled_once, chance=1.0, stall=4.0),
        None,
    ),
    Scene("bursts of 4 % on both sides", _bursts(0.04), None, _bursts(0.04)),
    Scene("bursts of 30 % on both sides", _bursts(0.3), None, _bursts(0.3)),
)

# What others do, on the first stretch of 30 s.


def naive(one: Series) -> Outcome:
    """Compare the p99 of one stretch with the limit."""
    return Outcome.PASS if percentile(sorted(one.latency), 0.99) <= LIMIT else Outcome.FAIL


def independent(one: Series) -> Outcome:
    """Take the records for independent, as a binomial test does."""
    over = sum(each > LIMIT for each in one.latency)
    low, high = clopper_pearson(over, len(one.latency), 0.05)
    if high <= ALLOWED:
        return Outcome.PASS
    return Outcome.FAIL if low > ALLOWED else Outcome.INCONCLUSIVE


def ours(scene: Scene, rng: random.Random, first: Series) -> tuple[Outcome, float]:
    """Judge as a run does; returns the verdict and the seconds of load, both sides."""
    judge = Judge(LIMIT)
    seconds, begun = 0.0, [first]
    while True:
        binding = begun or [scene.binding(rng, STRETCH)]
        begun = []
        binding.append(scene.binding(rng, STRETCH))
        control = [scene.control(rng, STRETCH) for _ in range(2)]
        seconds += 4 * STRETCH
        if decision := judge.add(Round(binding, control)):
            return decision.outcome, seconds


@dataclass(frozen=True)
class Row:
    """What the methods said of one scene over many runs; shares of the runs."""

    scene: str
    truth: Outcome | None
    runs: int
    naive: float
    independent: float
    wrong: float
    passed: float
    failed: float
    seconds: float


def wrong(said: Outcome, truth: Outcome | None) -> bool:
    """Tell whether a verdict is wrong; to leave it open never is."""
    if truth is None:
        return said is Outcome.FAIL
    return said not in (truth, Outcome.INCONCLUSIVE)


def row(scene: Scene, runs: int, seed: int = 1) -> Row:
    """Simulate a scene many times; each run has its own seed."""
    said: list[Outcome] = []
    others: list[tuple[bool, bool]] = []
    load = 0.0
    for number in range(runs):
        rng = random.Random(f"{seed} {scene.name} {number}")
        first = scene.binding(rng, STRETCH)
        others.append((wrong(naive(first), scene.truth), wrong(independent(first), scene.truth)))
        outcome, seconds = ours(scene, rng, first)
        said.append(outcome)
        load += seconds
    return Row(
        scene=scene.name,
        truth=scene.truth,
        runs=runs,
        naive=sum(each for each, _ in others) / runs,
        independent=sum(each for _, each in others) / runs,
        wrong=sum(wrong(each, scene.truth) for each in said) / runs,
        passed=said.count(Outcome.PASS) / runs,
        failed=said.count(Outcome.FAIL) / runs,
        seconds=load / runs,
    )


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    head = (
        "| true | naive p99 of 30 s | binomial, 30 s | **ours** | of which pass | fail | left open | load |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    lines = [head]
    for each in rows:
        truth = f"{each.truth}" if each.truth else "environment"
        left = 1 - each.passed - each.failed
        lines.append(
            f"| {each.scene}: {truth} | {each.naive:.1%} wrong | {each.independent:.1%} wrong | "
            f"**{each.wrong:.1%} wrong** | {each.passed:.0%} | {each.failed:.0%} | {left:.0%} | "
            f"{each.seconds:.0f} s |"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with ProcessPoolExecutor(WORKERS) as pool:
        rows = list(pool.map(functools.partial(row, runs=runs), SCENES))
    print(table(rows))
    print(f"\n{runs} runs a line, seed 1.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
