"""Acknowledges at once and stores a little later, each record when its turn comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.driver import Bus

CLAUSE = "ORD-02"
SAYS = "first deliveries out of publish order"


class Driver(Reference):
    """Sends from background tasks, with a pause that differs from record to record."""

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Promise a position that nobody has seen yet."""
        send = super()._send

        async def later() -> None:
            await asyncio.sleep(self.random.uniform(0, 0.03))
            await send(bus, outgoing)

        task: asyncio.Task[Any] = asyncio.ensure_future(later())
        self.background = getattr(self, "background", set()) | {task}
        return "0"
