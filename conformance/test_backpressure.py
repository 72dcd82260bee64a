"""Backpressure (BKP): consumers tell that they are behind, and producers that can wait do wait."""

from __future__ import annotations

import time

import pytest

TOPICS = "ampy.dev.bars.v1.>"
HIGH, LOW = 20, 5
BACKLOG = 40


def _behind(lab):
    """Return two buses and a consumer on the first that is behind by BACKLOG records."""
    bus = lab.bus(lag_high=HIGH, lag_low=LOW, publish_timeout_ms=1000)
    other = lab.bus(lag_high=HIGH, lag_low=LOW, publish_timeout_ms=1000)
    subscription = bus.subscribe(TOPICS, group="slow", credit=1)
    control = lab.sample("bars")
    lab.inject(control)
    lab.deliver_control(subscription, control)
    return bus, other, subscription


def _fall_behind(lab, subscription):
    """Let the handler hang while records come in."""
    subscription.handler = lambda _: None
    backlog = [lab.sample("bars", entity=each % 5) for each in range(BACKLOG)]
    for each in backlog:
        lab.inject(each)
    return backlog


def _recover(lab, subscription, backlog):
    """Let the handler work again; returns whether everything took effect."""
    subscription.handler = lambda _: "ack"
    for each in subscription.hanging():
        subscription.settle(each, "ack")
    return lab.arrived_anywhere([subscription], *backlog, patience=12.0)


@pytest.mark.clause("BKP-01")
def test_the_consumer_side_signals_lag(lab):
    """The lag rises with the backlog, is signalled, and falls when the backlog is worked off."""
    _, _, subscription = _behind(lab)
    calm = lab.eventually(lambda: subscription.lag() == (0, False))
    lab.must("BKP-01", calm, "lag or a signal without a backlog", seen=subscription.lag())
    backlog = _fall_behind(lab, subscription)
    rose = lab.eventually(lambda: subscription.lag()[0] >= BACKLOG - 1)
    lab.must("BKP-01", rose, "the lag does not show the backlog", seen=subscription.lag()[0])
    told = lab.eventually(lambda: subscription.lag()[1])
    lab.must("BKP-01", told, "a consumer far behind signals nothing")

    done = _recover(lab, subscription, backlog)
    lab.control(done, "the backlog could not be worked off")
    fell = lab.eventually(lambda: subscription.lag() == (0, False))
    lab.must("BKP-01", fell, "lag or signal stays up after recovery", seen=subscription.lag())


@pytest.mark.clause("BKP-02")
def test_producers_that_can_wait_wait(lab):
    """While a consumer is behind, low-priority publishes slow down and orders do not."""
    _, other, subscription = _behind(lab)
    producer = other.producer()

    def timed(domain):
        began = time.monotonic()
        results = producer.publish(lab.sample(domain))
        return time.monotonic() - began, results[0].outcome

    quiet = {domain: max(timed(domain)[0] for _ in range(3)) for domain in ("metrics", "orders")}
    backlog = _fall_behind(lab, subscription)
    told = lab.eventually(lambda: subscription.lag()[1])
    lab.covered(told, "the consumer does not signal that it is behind")

    # The signal needs a moment to travel; what is slow then stays slow, so the last one counts.
    def slowed():
        seconds, outcome = timed("metrics")
        return outcome != "ok" or seconds > 0.5 + 5 * quiet["metrics"]

    held = lab.eventually(slowed)
    urgent = [timed("orders") for _ in range(3)]
    still = slowed()
    lab.must("BKP-02", held and still, "low-priority publishes go on as before")
    fast = min(seconds for seconds, _ in urgent)
    lab.true(
        "BKP-02",
        all(outcome == "ok" for _, outcome in urgent) and fast < 0.5 + 5 * quiet["orders"],
        "orders are held up as well",
        seen=[round(seconds, 3) for seconds, _ in urgent],
    )
    lab.control(_recover(lab, subscription, backlog), "the backlog could not be worked off")


@pytest.mark.clause("BKP-03")
def test_recovery_from_backpressure_loses_nothing(lab):
    """What was acknowledged under pressure takes effect afterwards, and publishing goes on."""
    bus, other, subscription = _behind(lab)
    everything = bus.subscribe("ampy.dev.>", group="all")
    producer = other.producer()
    backlog = _fall_behind(lab, subscription)
    told = lab.eventually(lambda: subscription.lag()[1])
    lab.covered(told, "the consumer does not signal that it is behind")

    # The signal needs a moment to travel, so there are several rounds.
    results = []
    for number in range(5):
        domains = ("orders", "bars") if number < 4 else ("orders", "bars", "metrics", "universe")
        results += [producer.publish(lab.sample(domain))[0] for domain in domains]
        time.sleep(0.2)
    done = _recover(lab, subscription, backlog)
    lab.must("BKP-03", done, "the backlog was not worked off: records were lost or are stuck")
    kept = [each.sample for each in results if each.outcome == "ok"]
    arrived = lab.arrived(everything, *kept)
    lab.must("BKP-03", arrived, "records acknowledged under pressure did not arrive")
    refused = [each.sample for each in results if each.outcome == "fail"]
    shown = [each.topic for each in refused if lab.on_wire(each)]
    lab.equal("BKP-03", [], shown, "records that were refused under pressure are in the log")

    def open_again():
        return producer.publish(lab.sample("metrics"))[0].outcome == "ok"

    lab.must("BKP-03", lab.eventually(open_again), "producers stay held up after recovery")
