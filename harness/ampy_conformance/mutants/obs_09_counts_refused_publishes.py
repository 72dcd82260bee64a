"""Counts a publish that the broker refused as produced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import EnvelopeBuilder
    from ampy_conformance.bindings.driver import Bus
    from ampy_conformance.kit.base import Frame

CLAUSE = "OBS-09"
SAYS = "a refused publish is counted as produced"


class Driver(Reference):
    """Counts a publish that the broker refused as produced."""

    async def _publish(self, bus: Bus, builder: EnvelopeBuilder, record: Frame) -> Frame:
        """Count whatever the outcome."""
        answer = await super()._publish(bus, builder, record)
        if answer["outcome"] != "ok":
            self.counters.produced(record["topic"], builder.identity.name, 1)
        return answer
