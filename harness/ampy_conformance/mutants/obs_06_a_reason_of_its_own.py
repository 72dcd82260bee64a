"""Gives every dead letter a reason of its own."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-06"
SAYS = "the reason label is not bounded"


class Counts(Meter):
    """Gives every dead letter a reason of its own."""

    def __init__(self) -> None:
        """Begin to number."""
        super().__init__()
        self._number = 0

    def dead(self, topic: str, reason: str) -> None:
        """Number the reasons."""
        self._number += 1
        super().dead(topic, f"{reason} {self._number}")


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
