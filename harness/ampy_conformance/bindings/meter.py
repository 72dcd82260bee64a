"""The eight standard metrics of a process (section 11), in Prometheus' names (A-42)."""

from __future__ import annotations

import datetime as dt
import functools
import time
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.core import Metric

LATENCY_MS = (1, 2, 5, 10, 25, 50, 100, 150, 250, 500, 1000, 5000)
BYTES = (256, 1024, 4096, 16384, 65536, 131072, 262144, 1048576)


def epoch(moment: str) -> float | None:
    """Return an RFC 3339 time as seconds since 1970; None where it is none."""
    second, dot, rest = moment[:19], moment[19:20], moment[20:-1]
    try:
        if dot == "." and moment[-1] == "Z" and rest.isdigit():
            return _second(second) + float(f"0.{rest}")
        return dt.datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


@functools.lru_cache(maxsize=1024)
def _second(text: str) -> float:
    """Return the second that many records share."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


class Tally(Collector):
    """A counter of what happens with every record: the library's own takes five times as long."""

    def __init__(self, name: str, *labels: str) -> None:
        self._name, self._labels = name, labels
        self._counts: dict[tuple[str, ...], int] = {}

    def count(self, *labels: str) -> None:
        """Count one more of these labels."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Give the library what it writes."""
        family = CounterMetricFamily(f"bus_{self._name}", self._name, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class Spread(Collector):
    """A histogram of a number of every record, by topic."""

    def __init__(self, name: str, bounds: Sequence[float]) -> None:
        self._name, self._bounds = name, bounds
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, topic: str, value: float) -> None:
        """Take one more value."""
        counts = self._counts.get(topic)
        if counts is None:
            counts = self._counts[topic] = [0] * (len(self._bounds) + 1)
            self._sums[topic] = 0.0
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[topic] += value

    def collect(self) -> Iterator[Metric]:
        """Give the library what it writes: how many values are at most as large as each bound."""
        family = HistogramMetricFamily(f"bus_{self._name}", self._name, labels=["topic"])
        bounds: list[str] = list(map(floatToGoString, (*self._bounds, float("inf"))))
        for topic, counts in self._counts.items():
            below = accumulate(counts)
            family.add_metric([topic], list(zip(bounds, below, strict=True)), self._sums[topic])
        yield family


class Meter:
    """Counts what happens; one for all buses of a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, *labels: str) -> Counter:
            return Counter(f"bus_{name}_total", name, labels, registry=self.registry)

        self._produced = Tally("produced", "topic", "producer")
        self._consumed = Tally("consumed", "topic", "consumer")
        self._latency = Spread("delivery_latency_ms", LATENCY_MS)
        self._bytes = Spread("batch_size_bytes", BYTES)
        for each in (self._produced, self._consumed, self._latency, self._bytes):
            self.registry.register(each)
        self._dlq = counter("dlq", "topic", "reason")
        self._retry = counter("retry", "topic", "reason")
        self._decode_fail = counter("decode_fail", "topic", "reason")
        self._lag = Gauge("bus_consumer_lag", "lag", ["topic", "consumer"], registry=self.registry)

    def produced(self, topic: str, producer: str, size: int) -> None:
        """Count a record that the broker has acknowledged; `size`: bytes on the wire."""
        self._produced.count(topic, producer)
        self._bytes.observe(topic, size)

    def consumed(self, topic: str, consumer: str) -> None:
        """Count a record whose handler succeeded."""
        self._consumed.count(topic, consumer)

    def delivered(self, topic: str, produced_at: str) -> None:
        """Observe how old a record is at its first delivery; replays are left out (A-39)."""
        then = epoch(produced_at)
        if then is not None:
            self._latency.observe(topic, max(0.0, (time.time() - then) * 1000))

    def dead(self, topic: str, reason: str) -> None:
        """Count a stored dead letter under its original topic and the class of its reason."""
        self._dlq.labels(topic, reason).inc()

    def retried(self, topic: str, reason: str) -> None:
        """Count an attempt after the first."""
        self._retry.labels(topic, reason).inc()

    def undecodable(self, topic: str, reason: str) -> None:
        """Count a record that cannot be decoded."""
        self._decode_fail.labels(topic, reason).inc()

    def lag(self, topic: str, consumer: str, records: int) -> None:
        """Say how many records wait for a group."""
        self._lag.labels(topic, consumer).set(records)

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry).decode()
