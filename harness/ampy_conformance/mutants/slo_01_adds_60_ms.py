"""Lets every record wait for sixty milliseconds before it sends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.driver import Bus

CLAUSE = "SLO-01"
SAYS = "of the records took longer than 50 ms"


class Driver(Reference):
    """Lets every record wait for sixty milliseconds before it sends it."""

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Wait."""
        await asyncio.sleep(0.06)
        return await super()._send(bus, outgoing)
