"""Counts every retry twice."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-07"
SAYS = "does not agree with the attempts"


class Counts(Meter):
    """Counts every retry twice."""

    def retried(self, topic: str, reason: str) -> None:
        """Count once more."""
        super().retried(topic, reason)
        super().retried(topic, reason)


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
