"""Counts consumed records without saying who consumed them."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-02"
SAYS = "lacks labels"


class Counts(Meter):
    """Counts consumed records without saying who consumed them."""

    def consumed(self, topic: str, consumer: str) -> None:  # noqa: ARG002
        """Leave the consumer empty."""
        super().consumed(topic, "")


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
