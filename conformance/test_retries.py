"""Retries (RTY): a failing handler gets another chance, and not for ever."""

from __future__ import annotations

import pytest

TOPICS = "ampy.dev.bars.v1.>"


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
    for number in range(limit + 2):
        bus = lab.bus(driver=driver, state_dir=state)
        subscription = bus.subscribe(TOPICS, handler=lab.hanging_on(sample))
        if number == 0:
            control = lab.sample("bars", entity=7)
            lab.inject(control)
            lab.deliver_control(subscription, control)
            lab.inject(sample)
        letter = lab.wait_either(subscription, sample)
        if letter:
            break
        driver.kill()
        driver = lab.respawn(driver)
    lab.must(
        "RTY-08",
        letter,
        "a record that kills its worker is never given up",
        seen=f"{number + 1} deaths",
    )
    lab.true("RTY-08", number >= 1, "dead-lettered before it was tried", seen=number)
