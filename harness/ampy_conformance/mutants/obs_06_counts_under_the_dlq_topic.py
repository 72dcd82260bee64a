"""Counts dead letters under the topic of the DLQ."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.meter import Meter

CLAUSE = "OBS-06"
SAYS = "does not agree with the dead letters"


class Counts(Meter):
    """Counts dead letters under the topic of the DLQ."""

    def dead(self, topic: str, reason: str) -> None:
        """Lose the original topic."""
        super().dead(topic.replace(".bars.", ".dlq."), reason)


class Driver(Reference):
    """The reference with this part."""

    meter = Counts
