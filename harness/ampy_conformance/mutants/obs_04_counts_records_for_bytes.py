"""Observes records where bytes are asked for."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-04"
SAYS = "is not the bytes of the records"


class Counts(Meter):
    """Observes records where bytes are asked for."""

    def produced(self, topic: str, producer: str, size: int) -> None:  # noqa: ARG002
        """Take every record for one byte."""
        super().produced(topic, producer, 1)


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
