"""Acknowledges a publish and sends it a little later."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.nats_driver import Driver as Reference
from ampy_conformance.bindings.transport import Refusal, Unknown

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.driver import Bus

CLAUSE = "SLO-05"
SAYS = "was acknowledged before the fault and is gone"
FAULTS = "kill-broker"


class Driver(Reference):
    """Acknowledges a publish and sends it a little later."""

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Promise, send later, and forget what fails."""
        transport: Any = bus.transport

        async def later() -> None:
            await asyncio.sleep(0.3)
            if not transport.client.is_connected:
                return
            with contextlib.suppress(Refusal, Unknown):
                await transport.publish(
                    outgoing.topic, outgoing.headers, outgoing.payload, outgoing.message_id
                )

        task: asyncio.Task[Any] = asyncio.ensure_future(later())
        self.background = getattr(self, "background", set()) | {task}
        return "0"
