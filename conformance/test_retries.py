"""Retries (RTY): a failing handler gets another chance, and not for ever."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import pytest

TOPICS = "ampy.dev.bars.v1.>"
PRODUCERS = 30
BASE_MS = 400
ATTEMPTS = 4
# from one pause to the next at least this; judged over two steps, so that full jitter,
# which is legal, does not decide.
GROWTH = 1.3
# Jitter is told from its absence by the spread of the pauses, as a part of their median.
SPREAD = 0.04


@dataclass(frozen=True)
class Refused:
    """Thirty producers at once whose record the broker refused: every attempt, seen on the wire.

    `gaps[n]` are the pauses in seconds before attempt n + 2, one a record; `noise` is the spread
    of as many timers of the suite's own, measured at the same time.
    """

    attempts: tuple[tuple[Any, ...], ...]
    outcomes: tuple[str, ...]
    gaps: tuple[tuple[float, ...], ...]
    noise: float


@pytest.fixture(scope="session")
def refused(shared_lab):
    """Let the broker refuse records, and watch how producers try again."""
    lab = shared_lab()
    bus = lab.bus(publish_attempts=ATTEMPTS, backoff_base_ms=BASE_MS, backoff_max_ms=10_000)
    producers = [bus.producer(name=f"retry@{number}") for number in range(PRODUCERS)]
    wanted = [lab.sample("bars", entity=number) for number in range(PRODUCERS)]
    before = lab.sample("bars")
    lab.control(producers[0].publish(before)[0].outcome == "ok", "no valid record was acknowledged")
    lab.refuse_records()
    timers = lab.timers(PRODUCERS, BASE_MS / 1000)
    results = lab.in_parallel([(p, [each]) for p, each in zip(producers, wanted, strict=True)])
    noise = spread(timers())
    lab.accept_records()
    after = lab.sample("bars")
    lab.control(producers[0].publish(after)[0].outcome == "ok", "no valid record was acknowledged")
    attempts = tuple(tuple(lab.seen(each)) for each in wanted)
    most = max(len(each) for each in attempts)
    return Refused(
        attempts,
        tuple(each.outcome for each in results),
        tuple(
            tuple((each[n + 1].t_ns - each[n].t_ns) / 1e9 for each in attempts if len(each) > n + 1)
            for n in range(most - 1)
        ),
        noise,
    )


def spread(seconds):
    """Return the width of the middle 80 % of some durations."""
    tenths = statistics.quantiles(seconds, n=10)
    return tenths[8] - tenths[0]


def _retried(lab, refused, pauses):
    """Demand that the producers tried again so often: else there is nothing to look at."""
    enough = len(refused.gaps) >= pauses and len(refused.gaps[pauses - 1]) >= PRODUCERS
    says = "a refused publish was not tried again: the binding may take a refusal for final"
    lab.covered(enough, says)


@pytest.mark.clause("RTY-01")
def test_the_pauses_between_publishes_grow(lab, refused):
    """From attempt to attempt a producer waits longer."""
    _retried(lab, refused, 3)
    first, third = (statistics.quantiles(refused.gaps[n], n=25) for n in (0, 2))
    lab.must(
        "RTY-01",
        # Jitter may be wide: the true median lies between these parts in 19 of 20 samples of thirty.
        third[16] >= GROWTH**2 * first[7],
        "the pauses do not grow",
        expected=f">= {GROWTH} from pause to pause",
        seen=[round(statistics.median(each), 3) for each in refused.gaps],
    )
    grown = statistics.median(refused.gaps[2]) >= GROWTH**2 * statistics.median(refused.gaps[0])
    lab.covered(grown, "the pauses spread too much to tell whether they grow")


@pytest.mark.clause("RTY-02")
def test_the_pauses_differ_between_producers(lab, refused):
    """Thirty producers that fail together do not try again together."""
    _retried(lab, refused, 1)
    seen, middle = spread(refused.gaps[0]), statistics.median(refused.gaps[0])
    lab.true(
        "RTY-02",
        seen >= SPREAD * middle,
        "the pauses have no jitter",
        expected=f">= {SPREAD * middle * 1000:.0f} ms between the shortest and longest tenth",
        seen=f"{seen * 1000:.1f} ms",
    )
    lab.covered(seen > 1.5 * refused.noise, "timers of this machine spread as much as the pauses")


@pytest.mark.clause("RTY-03")
def test_publishes_are_not_tried_for_ever(lab, refused):
    """The attempts are bounded as the binding was told, and the caller hears of the end."""
    _retried(lab, refused, 1)
    most = max(len(each) for each in refused.attempts)
    says = "more attempts than allowed"
    lab.true("RTY-03", most <= ATTEMPTS, says, expected=f"<= {ATTEMPTS}", seen=most)
    wrong = [each for each in refused.outcomes if each == "ok"]
    lab.equal("RTY-03", [], wrong, "a publish that never succeeded was reported as done")


@pytest.mark.clause("RTY-04")
def test_a_retry_keeps_its_id(lab, refused):
    """Every attempt at one record carries the same message_id."""
    _retried(lab, refused, 1)
    ids = [len({each.header("message_id") for each in tries}) for tries in refused.attempts]
    lab.equal("RTY-04", [1] * PRODUCERS, ids, "a record was sent again under another id")


def _poisoned(lab, bus, handler, sample):
    """Subscribe with `handler` that troubles `sample` only; a valid record goes first."""
    subscription = bus.subscribe(TOPICS, handler=handler)
    control = lab.sample("bars", entity=7)
    lab.inject(control)
    lab.deliver_control(subscription, control)
    lab.inject(sample)
    return subscription


@pytest.mark.clause("RTY-05")
def test_a_failing_handler_is_tried_again(lab):
    """Before a record becomes a dead letter its handler was called at least twice."""
    bus = lab.bus()
    sample = lab.sample()
    subscription = _poisoned(lab, bus, lab.failing(sample), sample)
    letter = lab.dead_letter(lab.about(sample))
    lab.covered(
        letter or len(subscription.of(sample.digest)) > 1,
        "the record was neither retried nor dead-lettered",
    )

    attempts = len(subscription.of(sample.digest))
    lab.true(
        "RTY-05",
        attempts >= 2,
        "dead-lettered without a retry",
        expected=">= 2 attempts",
        seen=attempts,
    )


@pytest.mark.clause("RTY-06")
def test_attempts_are_bounded(lab):
    """A handler that always fails is called a bounded number of times, then no more."""
    bus = lab.bus()
    sample = lab.sample()
    subscription = _poisoned(lab, bus, lab.failing(sample), sample)

    letter = lab.dead_letter(lab.about(sample))
    attempts = len(subscription.of(sample.digest))
    limit = lab.tuning["max_attempts"]
    lab.must("RTY-06", letter or attempts <= limit, "attempts go on without an end", seen=attempts)
    sentinel = lab.sample()
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)
    attempts = len(subscription.of(sample.digest))
    says = f"the handler was called {attempts} times, {limit} were allowed"
    lab.true("RTY-06", attempts <= limit, says, expected=limit, seen=attempts)
    letter = letter or lab.dead_letter(lab.about(sample))  # it may have come meanwhile
    lab.must("RTY-06", letter, "the record was given up without a dead letter")


@pytest.mark.clause("RTY-07")
def test_a_transient_failure_recovers(lab):
    """A record whose handler fails once takes effect and leaves no dead letter."""
    bus = lab.bus()
    sample = lab.sample()
    subscription = _poisoned(lab, bus, lab.failing(sample, times=1), sample)
    sentinel = lab.sample()
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)

    lab.must("RTY-07", lab.arrived(subscription, sample), "the record did not recover")
    letters = [each.topic for each in lab.stored(dead=True)]
    lab.equal("RTY-07", [], letters, "a transient failure left a dead letter")


@pytest.mark.clause("RTY-08")
def test_the_bound_holds_for_a_handler_that_hangs(lab):
    """A handler that never comes to a verdict is given up after the allowed attempts."""
    bus = lab.bus(handler_timeout_ms=300)
    sample = lab.sample()
    subscription = _poisoned(lab, bus, lab.hanging_on(sample), sample)

    letter = lab.dead_letter(lab.about(sample), patience=12.0)
    attempts = len(subscription.of(sample.digest))
    lab.covered(attempts >= 1, "the record was never delivered")
    silent = letter is None and lab.unacknowledged() == 0
    lab.true("RTY-08", not silent, "a record whose handler hangs was dropped", seen=attempts)
    lab.must("RTY-08", letter, "a record whose handler hangs is never given up", seen=attempts)
    limit = lab.tuning["max_attempts"]
    lab.true(
        "RTY-08", attempts <= limit, "more attempts than allowed", expected=limit, seen=attempts
    )


@pytest.mark.clause("RTY-08")
def test_the_bound_holds_for_a_record_that_kills(lab):
    """A record at which the process dies every time ends in the DLQ and not in a loop."""
    lab.needs("durable_state")
    state = lab.session.state_dir()
    sample = lab.sample()
    driver = lab.fresh_driver()
    limit = lab.tuning["max_attempts"]
    deaths = 0
    while deaths < limit + 2:
        bus = lab.bus(driver=driver, state_dir=state)
        subscription = bus.subscribe(TOPICS, handler=lab.hanging_on(sample))
        if deaths == 0:
            control = lab.sample("bars", entity=7)
            lab.inject(control)
            lab.deliver_control(subscription, control)
            lab.inject(sample)
        letter = lab.wait_either(subscription, sample)
        if letter:
            break
        if not subscription.of(sample.digest):
            lab.covered(deaths, "the record was never delivered")
            says = "a record that kills its worker is neither tried again nor a dead letter"
            lab.must("RTY-08", letter, says, seen=f"{deaths} deaths")
        deaths += 1
        driver.kill()
        driver = lab.respawn(driver)
    seen = f"{deaths} deaths"
    lab.must("RTY-08", letter, "a record that kills its worker is never given up", seen=seen)
    lab.true("RTY-08", deaths >= 1, "dead-lettered before it was tried", seen=seen)
