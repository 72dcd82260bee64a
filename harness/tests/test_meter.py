"""The meter: what it counts itself comes out as the library would have counted it."""

from __future__ import annotations

import random

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from ampy_conformance.bindings.meter import LATENCY_MS, Meter, Spread, Tally


def lines(registry: CollectorRegistry) -> list[str]:
    """Return what is written, but for the times at which series were made."""
    text = generate_latest(registry).decode()
    return sorted(each for each in text.splitlines() if "_created" not in each)


def test_a_histogram_is_the_librarys():
    """On the bounds, below, above all of them, and for topics that need quoting."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    spread = Spread("delay", LATENCY_MS)
    ours.register(spread)
    library = Histogram("bus_delay", "delay", ["topic"], buckets=LATENCY_MS, registry=theirs)
    dice = random.Random(3)
    for value in (0, *LATENCY_MS, 5001, *(dice.uniform(0, 6000) for _ in range(500))):
        topic = dice.choice(("ampy.dev.bars.v1.XNAS.A", 'with "quotes" and \\'))
        spread.observe(topic, value)
        library.labels(topic).observe(value)
    assert lines(ours) == lines(theirs)
    assert any('le="1000.0"' in each for each in lines(ours))


def test_a_counter_is_the_librarys():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally("done", "topic", "consumer")
    ours.register(tally)
    library = Counter("bus_done_total", "done", ["topic", "consumer"], registry=theirs)
    for labels in (("a", "b"), ("a", "c"), ("a", "b"), ("", '"')):
        tally.count(*labels)
        library.labels(*labels).inc()
    assert lines(ours) == lines(theirs)
    assert len(lines(ours)) == 5


def test_a_meter_begins_with_nothing():
    """A count of before would be somebody else's."""
    one, other = Meter(), Meter()
    one.produced("t", "p", 10)
    assert 'bus_produced_total{producer="p",topic="t"} 1.0' in one.text()
    assert "bus_produced_total{" not in other.text()
