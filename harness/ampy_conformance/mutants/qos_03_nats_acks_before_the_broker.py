"""Publishes on plain NATS and takes the send for the acknowledgement, a little late."""

from __future__ import annotations

from typing import Any
import asyncio

from ampy_conformance.bindings.builder import Outgoing
from ampy_conformance.bindings.driver import Bus
from ampy_conformance.bindings.nats_driver import Driver as Reference

CLAUSE = "QOS-03"
SAYS = "acknowledged records were gone after the restart"


class Driver(Reference):
    """Buffers what it has acknowledged for a second."""

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Promise, and send later."""
        send = super()._send

        async def later() -> None:
            await asyncio.sleep(5)
            await send(bus, outgoing)

        task: asyncio.Task[Any] = asyncio.ensure_future(later())
        self.background = getattr(self, "background", set()) | {task}
        return "0"
