"""Buries poison without counting it."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "DLQ-09"
SAYS = "poison does not raise bus.dlq_total"


class Counts(Meter):
    """Buries poison without counting it."""

    def dead(self, topic: str, reason: str) -> None:
        """Count nothing."""


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
