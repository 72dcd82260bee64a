"""Answers when a record is queued, and sends it a little later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.kafka_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.driver import Bus

CLAUSE = "QOS-03"
SAYS = "acknowledged records were gone after the restart"


class Driver(Reference):
    """Buffers what it has acknowledged."""

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Promise, and send later."""
        send = super()._send

        async def later() -> None:
            await asyncio.sleep(60)
            await send(bus, outgoing)

        task: asyncio.Task[Any] = asyncio.ensure_future(later())
        self.background = getattr(self, "background", set()) | {task}
        return "0:0"
