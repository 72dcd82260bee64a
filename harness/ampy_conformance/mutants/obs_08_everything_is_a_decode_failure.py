"""Counts every dead letter as a decode failure."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-08"
SAYS = "what is no decode failure is counted as one"


class Counts(Meter):
    """Counts every dead letter as a decode failure."""

    def dead(self, topic: str, reason: str) -> None:
        """Count a decode failure, whatever it was."""
        super().dead(topic, reason)
        if reason != "decode_error":
            self.undecodable(topic, reason)


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
