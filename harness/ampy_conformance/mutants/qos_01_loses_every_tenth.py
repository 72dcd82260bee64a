"""Acknowledges every tenth record without having sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.driver import Bus

CLAUSE = "QOS-01"
SAYS = "acknowledged records are not on the wire"


class Driver(Reference):
    """Drops 10 % of what it acknowledges."""

    sent = 0

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Send nine of ten."""
        self.sent += 1
        return "0" if self.sent % 10 == 9 else await super()._send(bus, outgoing)
