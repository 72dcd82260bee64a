"""Collects records and sends them twice a second."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.driver import Bus

CLAUSE = "SLO-02"
SAYS = "of the records took longer than 150 ms"
EVERY = 0.5


class Driver(Reference):
    """Collects records and sends them twice a second."""

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Wait for the next departure."""
        await asyncio.sleep(EVERY - time.monotonic() % EVERY)
        return await super()._send(bus, outgoing)
