"""Counts every produced record twice."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-01"
SAYS = "does not agree with the acknowledged publishes"


class Counts(Meter):
    """Counts every produced record twice."""

    def produced(self, topic: str, producer: str, size: int) -> None:
        """Count once more."""
        self._produced.count(topic, producer)
        super().produced(topic, producer, size)


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
