"""Acknowledges records under pressure and drops them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.driver import Bus

CLAUSE = "BKP-03"
SAYS = "records acknowledged under pressure did not arrive"


class Driver(Reference):
    """Acknowledges records under pressure and drops them."""

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Pretend."""
        return "0" if bus.pressure.raised else await super()._send(bus, outgoing)
