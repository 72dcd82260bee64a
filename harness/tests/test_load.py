"""The statistics of the load tests, their verdict, and how often it is wrong."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import math
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance.broker.facts import WireRecord
from ampy_conformance.contract.samples import Samples
from ampy_conformance.kit import Loads, Refused
from ampy_conformance.kit.load import Template
from ampy_conformance.load import exceedance, intervals, log, probe, run, schedule, simulate
from ampy_conformance.load.exceedance import LOST, SECOND, Series, Word
from ampy_conformance.load.verdict import Judge, Outcome, Round, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MS = 1_000_000
LIMIT = 50 * MS


def at_least(count: int, size: int, share: Fraction) -> Fraction:
    """P(X >= count) for X ~ Binomial(size, share), exactly."""
    return sum(
        (math.comb(size, k) * share**k * (1 - share) ** (size - k) for k in range(count, size + 1)),
        Fraction(0),
    )


@pytest.mark.parametrize(("count", "size"), [(1, 10), (3, 20), (7, 60), (59, 60), (2, 368)])
@pytest.mark.parametrize("alpha", [0.05, 0.025])
def test_bounds_are_where_the_binomial_tails_are(count: int, size: int, alpha: float) -> None:
    low, high = intervals.clopper_pearson(count, size, alpha)
    assert float(at_least(count, size, Fraction(low))) == pytest.approx(alpha, rel=1e-6)
    below = 1 - at_least(count + 1, size, Fraction(high))
    assert float(below) == pytest.approx(alpha, rel=1e-6)


def test_bounds_at_the_edges() -> None:
    assert intervals.clopper_pearson(0, 0, 0.05) == (0.0, 1.0)
    low, high = intervals.clopper_pearson(0, 368, 0.025)
    assert low == 0.0
    assert high <= 0.01 < intervals.clopper_pearson(0, 367, 0.025)[1]
    assert exceedance.needed_blocks(0.025, 0.01) == 368
    assert intervals.clopper_pearson(50, 50, 0.025)[1] == 1.0
    # Sizes need not be integers, and the bounds go with them.
    between = intervals.clopper_pearson(1.5, 100.5, 0.05)
    assert intervals.clopper_pearson(1, 101, 0.05)[0] < between[0]
    assert between[1] < intervals.clopper_pearson(2, 100, 0.05)[1]


def test_percentiles_are_values_that_were_measured() -> None:
    values = list(range(1, 101))
    found = [exceedance.percentile(values, each) for each in (0.5, 0.99, 0.991, 1.0)]
    assert found == [50, 99, 100, 100]
    with pytest.raises(ValueError, match="nothing"):
        exceedance.percentile([], 0.5)


def series(latencies: list[int], every: int = 4 * MS) -> Series:
    return Series([n * every for n in range(len(latencies))], latencies)


def test_a_bound_on_clusters_is_the_poisson_one_where_each_is_of_one() -> None:
    assert intervals.clustered_upper([], 0.05) == pytest.approx(2.996, rel=0.001)
    # chi-square with 22 degrees of freedom, half of its 97.5 % quantile
    assert intervals.clustered_upper([1] * 10, 0.025) == pytest.approx(18.39, rel=0.005)
    assert intervals.clustered_upper([10], 0.025) == pytest.approx(55.7, rel=0.02)


def test_a_bound_on_clusters_is_seldom_wrong() -> None:
    rng, wrong, runs, mean = random.Random(3), 0, 1000, 12.0
    for _ in range(runs):
        at, sizes = rng.expovariate(mean), []
        while at < 1:
            sizes.append(1 + int(rng.expovariate(0.2)))
            at += rng.expovariate(mean)
        wrong += intervals.clustered_upper(sizes, 0.02) < mean * (1 + 1 / (math.exp(0.2) - 1))
    assert wrong / runs < 0.05  # sizes are random as well, which the interval does not know


def test_few_small_bursts_of_a_short_look_prove_nothing() -> None:
    """Four bursts of ten milliseconds in a minute: the next may be the long one."""
    latencies = [2 * MS] * 6_000
    for begin in (500, 2_000, 3_500, 5_000):
        latencies[begin : begin + 2] = [60 * MS] * 2
    stretches, rare = [series(latencies, 10 * MS)], {"alpha": 0.003, "allowed": 0.01}
    one = exceedance.look(stretches, LIMIT, wary=True, **rare)
    assert one.share < 0.002
    assert one.word is Word.OPEN
    assert exceedance.look(stretches, LIMIT, **rare).word is Word.PASS
    none = exceedance.look([series([2 * MS] * 6_000, 10 * MS)], LIMIT, wary=True, **rare)
    assert none.word is Word.PASS


def test_a_rare_stall_of_the_control_excuses_nobody() -> None:
    """The raw client has to keep the limit, not to prove as much as a binding that passes."""
    stalled = [2 * MS] * 3_000 + [60 * MS] * 10 + [2 * MS] * 3_000
    judge = Judge(LIMIT)
    late = [60 * MS if n % 19 == 0 else 2 * MS for n in range(3_000)]
    decision = None
    while decision is None:
        binding = [series(late, 10 * MS)] * 2
        decision = judge.add(Round(binding, [series(stalled, 10 * MS)]))
    assert decision.outcome is Outcome.FAIL


def test_records_that_are_late_together_count_for_little() -> None:
    apart = [60 * MS if n % 100 == 0 else MS for n in range(10_000)]
    together = [60 * MS] * 100 + [MS] * 9_900
    looks = [
        exceedance.look([series(each)], LIMIT, alpha=0.025, allowed=0.01)
        for each in (apart, together)
    ]
    assert [each.share for each in looks] == [0.01, 0.01]
    assert looks[0].effective > 20 * looks[1].effective
    assert looks[0].high < looks[1].high
    assert looks[1].episodes == 1


def test_what_never_came_exceeds_every_limit() -> None:
    look = exceedance.look([series([MS] * 99 + [LOST])], 10**15, alpha=0.05, allowed=0.01)
    assert (look.exceeding, look.lost) == (1, 1)


QUICK, SLOW = [2 * MS] * 7_500, [60 * MS] * 7_500


# Every tenth record is late, in less than half of the run: one episode.
CLUSTERED = [60 * MS if n % 10 == 0 and n < 3_500 else 2 * MS for n in range(7_500)]


def rounds(binding: list[int], control: list[int] = QUICK, starved: str = "") -> Round:
    return Round([series(binding)] * 2, [series(control)] * 2, starved)


def test_a_quick_binding_passes_at_the_first_look() -> None:
    decision = Judge(LIMIT).add(rounds(QUICK))
    assert decision is not None
    assert decision.outcome is Outcome.PASS


def test_a_slow_binding_fails_when_it_is_slow_again() -> None:
    judge = Judge(LIMIT)
    assert judge.add(rounds(SLOW)) is None
    assert judge.stage is Stage.CONFIRM
    decision = judge.add(rounds(SLOW))
    assert decision is not None
    assert decision.outcome is Outcome.FAIL
    assert "100.0% of the records took longer than 50 ms" in decision.reason


def test_what_is_not_confirmed_does_not_fail() -> None:
    judge = Judge(LIMIT)
    judge.add(rounds(SLOW))
    decision = judge.add(rounds(QUICK))
    assert decision is not None
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert "did not show it again" in decision.reason


@pytest.mark.parametrize(
    ("each", "says"),
    [
        (rounds(SLOW, SLOW), "environment: the raw client beside it"),
        (rounds(SLOW, starved="the machine is busy"), "environment: the machine is busy"),
        (rounds([2 * MS] * 250), "too short to decide: 40 blocks of 100 ms, 390 are needed"),
        (rounds(CLUSTERED), "one event of the machine may be the cause"),
    ],
)
def test_without_proof_there_is_no_verdict(each: Round, says: str) -> None:
    judge = Judge(LIMIT)
    assert judge.add(each) is None
    decision = judge.add(each)
    assert decision is not None
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert says in decision.reason


def test_losses_need_no_clock() -> None:
    """A control that is slow, but loses nothing, is no excuse for a binding that loses."""
    losing = [LOST if n % 20 == 0 else 2 * MS for n in range(7_500)]
    judge = Judge(LIMIT)
    busy = [60 * MS if n % 20 == 0 else 2 * MS for n in range(7_500)]
    assert judge.add(rounds(losing, busy)) is None
    decision = judge.add(rounds(losing, busy))
    assert decision is not None
    assert decision.outcome is Outcome.FAIL
    assert "never delivered" in decision.reason
    late = [60 * MS if n % 20 == 0 else 2 * MS for n in range(7_500)]
    judge = Judge(LIMIT)
    judge.add(rounds(late, busy))
    assert judge.stage is Stage.LOOK


def test_a_stall_of_four_seconds_fails_nobody() -> None:
    rng = random.Random(4)
    for _ in range(5):
        judge, decision = Judge(LIMIT), None
        while decision is None:
            binding = [simulate.stalled_once(rng, 30, chance=1.0, stall=4.0) for _ in range(2)]
            control = [simulate.quick(rng, 30) for _ in range(2)]
            decision = judge.add(Round(binding, control))
        assert decision.outcome is Outcome.INCONCLUSIVE


def test_the_simulation_finds_no_wrong_verdict_where_the_naive_one_is_often_wrong() -> None:
    scenes = {each.name: each for each in simulate.SCENES}
    rows = [
        simulate.row(scenes[name], 20, seed=7)
        for name in ("bursts, 0.5 % over", "bursts, 2 % over", "bursts of 4 % on both sides")
    ]
    assert [each.wrong for each in rows] == [0.0, 0.0, 0.0]
    assert rows[0].naive > 0.05
    assert rows[2].naive > 0.5
    assert rows[0].passed > 0.2


def test_the_simulated_share_is_what_the_scene_says() -> None:
    rng = random.Random(5)
    one = simulate.bursty(rng, 4000, gap=simulate.gap_for(0.04))
    look = exceedance.look([one], LIMIT, alpha=0.05, allowed=0.01)
    assert look.share == pytest.approx(0.04, rel=0.15)


def test_the_verdict_is_wrong_as_soon_as_the_bursts_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The design effect is what the verdict rests on: without it the simulation shows it."""
    monkeypatch.setattr(exceedance, "effective_size", lambda *given: float(given[2]))
    monkeypatch.setattr(exceedance, "EPISODES", 1)
    monkeypatch.setattr(exceedance.Look, "spread", property(lambda _: True))
    scenes = {each.name: each for each in simulate.SCENES}
    found = simulate.row(scenes["bursts, 0.8 % over"], 25, seed=7)
    other = simulate.row(scenes["bursts, 1.25 % over"], 25, seed=7)
    assert found.wrong + other.wrong > 0.05


@pytest.fixture(scope="module")
def made() -> tuple[schedule.Offered, list[schedule.Template], str]:
    contract = contracts.load()
    offered = schedule.Offered(1000.0, ((300, 9.0), (65_536, 1.0)), ("orders", "bars"))
    marker = "load-0000000007-binding-"
    return offered, schedule.templates(Samples(contract, 7), offered, marker, "dev"), marker


def test_schedules_are_poisson_and_seeded(
    made: tuple[schedule.Offered, list[schedule.Template], str],
) -> None:
    offered, found, _ = made
    plans = [schedule.poisson(offered, found, 10, seed) for seed in ("a", "a", "b")]
    assert plans[0] == plans[1] != plans[2]
    times = plans[0].times
    assert times == sorted(times)
    assert len(times) == pytest.approx(10_000, rel=0.05)
    gaps = sorted(b - a for a, b in itertools.pairwise(times))
    assert gaps[len(gaps) // 2] == pytest.approx(math.log(2) * MS, rel=0.1)
    large = sum(found[each].size == 65_536 for each in plans[0].picks)
    assert large == pytest.approx(1000, rel=0.15)


def test_copies_of_a_template_differ_by_their_number_alone(
    made: tuple[schedule.Offered, list[schedule.Template], str],
) -> None:
    _, found, marker = made
    for each in found:
        template = Template.of(each.frame(marker), marker)
        one, two = template.fill(7), template.fill(4_000_000_000)
        assert len(one["payload"]) == each.size == len(two["payload"])
        assert f"{marker}0000000007".encode() in one["payload"]
        if each.sample.domain == "orders":
            assert one["dedupe_key"] != two["dedupe_key"]
            assert one["dedupe_key"].endswith("0000000007")


def test_who_loses_a_letter_is_not_called_slow(
    made: tuple[schedule.Offered, list[schedule.Template], str],
) -> None:
    """A published binding loses records whose keys are not ASCII; other clauses tell."""
    _, found, _ = made
    small = [each.sample for each in found if each.size == 300 and each.sample.domain == "orders"]
    assert len({each.key["client_order_id"] for each in small}) == schedule.ENTITIES
    for each in found:
        assert all(value.isascii() for value in each.sample.key.values())


@pytest.mark.parametrize("text", ["", "10:1", "300:0", "300:x", "2000000:1"])
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no SIZE:WEIGHT"):
        schedule.mix_of(text)


def test_too_many_sends_are_refused_before_anything_starts(
    made: tuple[schedule.Offered, list[schedule.Template], str],
) -> None:
    _, found, _ = made
    offered = schedule.Offered(200_000.0, ((300, 9.0), (65_536, 1.0)), ("orders", "bars"))
    with pytest.raises(UsageError, match="offer a lower --rate"):
        schedule.poisson(offered, found, 1e9, "a")  # it does not count to the end of them


def usage(**more: object) -> probe.Usage:
    given: dict[str, object] = {
        "foreign": 0.0, "ours": {}, "waited": {}, "pressure": None, "hiccups": {"p99": 1.0}
    }  # fmt: skip
    return probe.Usage(**{**given, **more})  # type: ignore[arg-type]


def test_who_waits_for_a_processor_is_starved_and_who_sleeps_is_not() -> None:
    busy = {"foreign": 0.9}
    assert usage(**busy, ours={"b": 0.3}, waited={"b": 0.4}).starved(["b"])
    assert not usage(**busy, ours={"b": 0.1}, waited={"b": 0.1}).starved(["b"])
    assert not usage(ours={"b": 0.9}, waited={"b": 0.01}).starved(["b"])
    assert usage(hiccups={"p99": 40.0}).starved(["b"])
    # The receiver was starved, whatever its sender used.
    two = {"ours": {"a": 0.95, "b": 0.5}, "waited": {"a": 0.05, "b": 0.35}}
    assert "the b waited 35%" in usage(**two).starved(["a", "b"])
    assert usage(**two).starved(["a", "b"]).startswith("the machine is too small for this load: ")
    assert usage(foreign=0.2, ours={"a": 0.6, "b": 0.1}).starved(["b", "a"])


def snapshot(at: float, waited: dict[str, float]) -> probe.Snapshot:
    return probe.Snapshot(at, 0.0, 0.0, {"b": 0.0}, {"b": waited}, None)


def test_a_thread_that_began_to_wait_later_is_seen() -> None:
    """Its sum is less than that of one that waited before, and did nothing since."""
    before, after = snapshot(0.0, {"1": 30.0, "2": 1.0}), snapshot(10.0, {"1": 30.0, "2": 6.0})
    assert probe.between(before, after, {}).waited["b"] == 0.5
    assert probe.between(before, snapshot(10.0, {"3": 2.0}), {}).waited["b"] == 0.2


def test_what_a_launcher_has_started_counts_as_its_own() -> None:
    burn = "import time; end = time.time() + 30\nwhile time.time() < end: pass"
    quoted = f"{shlex.quote(sys.executable)} -c {shlex.quote(burn)}"
    shell = subprocess.Popen(["sh", "-c", f"{quoted}; true"], start_new_session=True)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = probe.snapshot({"driver": shell.pid}, {})
            if found.ours["driver"] > 0.3:
                break
            time.sleep(0.05)
        assert found.ours["driver"] > 0.3
        assert len(found.waited["driver"]) == 2
        assert probe.snapshot({}, {"driver": shell.pid}).ours["driver"] < 0.1
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def marks(*ends: int) -> list[log.Mark]:
    return [log.Mark(second * SECOND, {"s": each}) for second, each in enumerate(ends)]


@pytest.mark.parametrize(
    ("found", "all_sent", "rates"),
    [
        # Ten a second for five seconds, and more would have been sent.
        ([n // 10 + 1 for n in range(50)], False, [10.0, 10.0, 10.0]),
        # All was sent in the fourth second: it does not count, nor the one behind it.
        ([n // 10 + 1 for n in range(35)], True, [10.0]),
        # All was sent in the warm-up, a hundred in each of its seconds.
        ([n // 100 + 1 for n in range(200)], True, [100.0]),
        # What was stored behind the last mark counts in no second, whatever its stamp says.
        ([1] * 10 + [6] * 1000, False, [0.0, 0.0, 0.0]),
        ([], False, [0.0, 0.0, 0.0]),
        ([], True, [0.0]),
    ],
)
def test_a_record_counts_in_the_second_in_which_it_was_stored(found, all_sent, rates) -> None:
    numbered = dict(enumerate(found))
    taken = marks(0, 0, 0, 0, 0, 0)
    assert log.rates(numbered, numbered, taken, 2, all_sent=all_sent) == rates


def test_a_span_that_is_longer_counts_as_such_and_so_does_the_warm_up() -> None:
    """The second mark came late, so that there is none for the second after it."""
    taken = [log.Mark(int(at * SECOND), {}) for at in (0, 1.8, 3, 4)]
    found = dict(enumerate([1] * 18 + [2] * 12 + [3] * 10))
    assert log.rates(found, found, taken, 2, all_sent=False) == pytest.approx([10.0, 10.0])
    assert log.rates(found, found, taken, 3, all_sent=False) == [10.0]


class Slow:
    """A broker that once needs longer than a second to tell where its logs end."""

    def __init__(self) -> None:
        self.asked = 0

    def ends(self) -> dict[str, int]:
        self.asked += 1
        if self.asked == 2:
            time.sleep(1.7)
        return {"s": self.asked}


def test_marks_that_would_be_late_are_left_out() -> None:
    start = time.monotonic_ns()
    with log.Marks(Slow(), start, 4) as marks:  # type: ignore[arg-type]
        pass
    spans = [(b.at - a.at) / SECOND for a, b in itertools.pairwise(marks.taken)]
    assert min(spans) > 0.4
    assert marks.taken[-1].at >= start + 4 * SECOND


class Wire:
    """A log with these bodies, one second after the other."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = bodies

    def scan(self, pattern: str) -> Iterator[WireRecord]:  # noqa: ARG002
        for place, each in enumerate(self.bodies):
            yield WireRecord("t", (), each, str(place + 1), "s")


def test_the_log_tells_which_records_are_there_and_since_when() -> None:
    bodies = [b"..m-%010d.." % n for n in (7, 8, 9, 7)]
    wire = Wire(
        b"else", bodies[0], gzip.compress(bodies[1]), b"m-12", b"m-notdigits", bodies[2], bodies[3]
    )
    assert log.stored(wire, ">", "m-") == {7: 0, 8: 0, 9: 0}  # type: ignore[arg-type]
    # Ends are the places behind the last: 1 and 2 before the first mark, 3 before the second.
    assert log.stored(wire, ">", "m-", marks(3, 4)) == {7: 0, 8: 1, 9: 2}  # type: ignore[arg-type]


def test_the_ratio_has_an_interval() -> None:
    ratio, low, high = intervals.ratio_interval([2.0] * 9 + [3.0], [1.0] * 10)
    assert (ratio, low) == (2.0, 2.0)
    assert high <= 3.0


def test_shapes_grow_from_glance_to_full() -> None:
    assert run.Shape.of(None, quick=False).looks == 2
    assert run.Shape.of(None, quick=True).quick
    assert run.Shape.of(20.0, quick=False).stretch == 10.0
    assert Word.OPEN not in set(Outcome)
    assert SECOND == 10**9


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schedule": None}, "schedule is missing"),
        ({"picks": [0]}, "not of one length"),
        ({"picks": [0, 9]}, "a pick names no template"),
        ({"marker": "load-nowhere-"}, "does not hold the marker"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_the_kit(
    change: dict[str, object],
    says: str,
    made: tuple[schedule.Offered, list[schedule.Template], str],
) -> None:
    _, found, marker = made
    frame = {
        "load": "l", "marker": marker, "first": 0, "start_ns": 0, "until_ns": 1,
        "schedule": [0, 1], "picks": [0, 0], "templates": [found[0].frame(marker)],
    }  # fmt: skip
    changed = {name: each for name, each in {**frame, **change}.items() if each is not None}
    with pytest.raises(Refused, match=says):
        Loads(lambda *_, **__: None).send(changed, None)  # type: ignore[arg-type]


async def played(begin: Callable[[Loads], None]) -> list[dict[str, object]]:
    """Let a plan come to its end; returns what it told."""
    told: list[dict[str, object]] = []
    ended = asyncio.Event()

    def emit(_: str, **fields: object) -> None:
        told.append(fields)
        if fields.get("done"):
            ended.set()

    begin(Loads(emit))
    await asyncio.wait_for(ended.wait(), 30)
    return told


def test_the_kit_sends_on_time_and_stamps(
    made: tuple[schedule.Offered, list[schedule.Template], str],
) -> None:
    """Open loop: a publish that hangs delays no other, and is told as without an answer.

    The plan has time enough: garbage is collected first, which takes a while in a large process.
    """
    _, found, marker = made
    start = time.monotonic_ns() + 50 * MS

    async def go() -> list[dict[str, object]]:
        async def publish(record: dict[str, object]) -> dict[str, object]:
            assert isinstance(record["payload"], bytes)
            if b"0000000010" in record["payload"]:
                await asyncio.sleep(60)
            return {"outcome": "ok"}

        frame = {
            "load": "l", "marker": marker, "first": 10, "start_ns": start, "until_ns": 3000 * MS,
            "schedule": [0, 100 * MS, 200 * MS], "picks": [0, 0, 0],
            "templates": [found[0].frame(marker)],
        }  # fmt: skip
        return await played(lambda loads: loads.send(frame, publish))

    told = asyncio.run(go())
    samples = told[0]
    assert samples["numbers"] == [10, 11, 12]
    assert samples["outcomes"] == [2, 0, 0]
    called, returned = samples["called_ns"], samples["returned_ns"]
    assert isinstance(called, list)
    assert isinstance(returned, list)
    assert all(at >= due for at, due in zip(called, (0, 100 * MS, 200 * MS), strict=True))
    assert returned[0] == -1
    assert all(after >= at for at, after in list(zip(called, returned, strict=True))[1:])


def test_the_kit_sends_without_tasks_and_hears_later_what_became_of_each(
    made: tuple[schedule.Offered, list[schedule.Template], str],
) -> None:
    """What is stored, what is refused, and what nobody answers each have their outcome."""
    _, found, marker = made
    start = time.monotonic_ns() + 50 * MS

    async def go() -> list[dict[str, object]]:
        loop = asyncio.get_running_loop()

        async def submit(record: dict[str, object]) -> asyncio.Future[str]:
            future: asyncio.Future[str] = loop.create_future()
            body = record["payload"]
            assert isinstance(body, bytes)
            if b"0000000011" in body:
                future.set_result("fail")
            elif b"0000000012" in body:
                loop.call_later(0.05, future.set_result, "ok")
            return future

        frame = {
            "load": "l", "marker": marker, "first": 10, "start_ns": start, "until_ns": 3000 * MS,
            "schedule": [0, 0, 0], "picks": [0, 0, 0], "templates": [found[0].frame(marker)],
        }  # fmt: skip
        return await played(lambda loads: loads.pipe(frame, submit, asyncio.Future.result))

    told = asyncio.run(go())
    samples = told[0]
    assert samples["numbers"] == [10, 11, 12]
    assert samples["outcomes"] == [2, 1, 0]
    called, returned = samples["called_ns"], samples["returned_ns"]
    assert isinstance(called, list)
    assert isinstance(returned, list)
    assert returned[0] == -1
    assert returned[2] - called[2] >= 50 * MS


def test_a_window_full_of_records_that_nobody_answers_ends_with_the_plan(
    made: tuple[schedule.Offered, list[schedule.Template], str],
) -> None:
    """What was sent is told; what waited for room was not sent."""
    _, found, marker = made

    async def go() -> list[dict[str, object]]:
        loop = asyncio.get_running_loop()

        async def submit(_: dict[str, object]) -> asyncio.Future[str]:
            return loop.create_future()

        frame = {
            "load": "l", "marker": marker, "first": 10, "start_ns": time.monotonic_ns(),
            "until_ns": 1500 * MS, "in_flight": 2, "schedule": [0] * 5, "picks": [0] * 5,
            "templates": [found[0].frame(marker)],
        }  # fmt: skip
        return await played(lambda loads: loads.pipe(frame, submit, asyncio.Future.result))

    told = asyncio.run(go())
    assert told[0]["numbers"] == [10, 11]
    assert told[0]["outcomes"] == [2, 2]
