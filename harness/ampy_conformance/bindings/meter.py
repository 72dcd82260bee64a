"""The eight standard metrics of a process (section 11), in Prometheus' names (A-42)."""

from __future__ import annotations

import datetime as dt
import functools
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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


class Meter:
    """Counts what happens; one for all buses of a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, *labels: str) -> Counter:
            return Counter(f"bus_{name}_total", name, labels, registry=self.registry)

        def histogram(name: str, buckets: tuple[int, ...]) -> Histogram:
            return Histogram(
                f"bus_{name}", name, ["topic"], buckets=buckets, registry=self.registry
            )

        self._produced = counter("produced", "topic", "producer")
        self._consumed = counter("consumed", "topic", "consumer")
        self._dlq = counter("dlq", "topic", "reason")
        self._retry = counter("retry", "topic", "reason")
        self._decode_fail = counter("decode_fail", "topic", "reason")
        self._latency = histogram("delivery_latency_ms", LATENCY_MS)
        self._bytes = histogram("batch_size_bytes", BYTES)
        self._lag = Gauge("bus_consumer_lag", "lag", ["topic", "consumer"], registry=self.registry)

        # A look-up by labels takes the library several times as long as the counting.
        self._label = functools.lru_cache(maxsize=65536)(self._labelled)

    @staticmethod
    def _labelled(metric: Counter | Histogram, *labels: str) -> Any:
        return metric.labels(*labels)

    def produced(self, topic: str, producer: str, size: int) -> None:
        """Count a record that the broker has acknowledged; `size`: bytes on the wire."""
        self._label(self._produced, topic, producer).inc()
        self._label(self._bytes, topic).observe(size)

    def consumed(self, topic: str, consumer: str) -> None:
        """Count a record whose handler succeeded."""
        self._label(self._consumed, topic, consumer).inc()

    def delivered(self, topic: str, produced_at: str) -> None:
        """Observe how old a record is at its first delivery; replays are left out (A-39)."""
        then = epoch(produced_at)
        if then is not None:
            self._label(self._latency, topic).observe(max(0.0, (time.time() - then) * 1000))

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
