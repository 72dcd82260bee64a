"""Tries to publish once more often than it was told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.kit.base import Frame

CLAUSE = "RTY-03"
SAYS = "more attempts than allowed"


class Driver(Reference):
    """Tries to publish once more often than it was told."""

    async def open(self, frame: Frame) -> None:
        """Raise the bound."""
        await super().open(frame)
        bus = self.buses[frame["bus"]]
        bus.tuning = replace(bus.tuning, publish_attempts=(bus.tuning.publish_attempts or 0) + 1)
