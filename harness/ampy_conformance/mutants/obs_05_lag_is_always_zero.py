"""Shows no lag, whatever waits."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-05"
SAYS = "does not show the waiting records"


class Counts(Meter):
    """Shows no lag, whatever waits."""

    def lag(self, topic: str, consumer: str, records: int) -> None:  # noqa: ARG002
        """Say that all is well."""
        super().lag(topic, consumer, 0)


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
