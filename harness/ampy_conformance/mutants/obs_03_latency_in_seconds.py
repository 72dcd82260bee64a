"""Measures latency in seconds."""

from __future__ import annotations

import datetime as dt

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-03"
SAYS = "does not measure milliseconds"


class Counts(Meter):
    """Measures latency in seconds."""

    def delivered(self, topic: str, produced_at: str) -> None:
        """Divide by a thousand."""
        then = dt.datetime.fromisoformat(produced_at)
        self._latency.observe(topic, (dt.datetime.now(dt.UTC) - then).total_seconds())


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
