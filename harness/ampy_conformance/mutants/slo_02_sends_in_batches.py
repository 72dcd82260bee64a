"""Collects records and sends them twice a second."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.pipeline import Pipeline

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing

CLAUSE = "SLO-02"
SAYS = "of the records took longer than 150 ms"
EVERY = 0.5


class Batches(Pipeline):
    """Sends twice a second."""

    async def _send(self, outgoing: Outgoing, future: asyncio.Future[str], attempt: int) -> None:
        """Wait for the next departure."""
        send = super()._send

        async def departs() -> None:
            await asyncio.sleep(EVERY - time.monotonic() % EVERY)
            await send(outgoing, future, attempt)

        task: asyncio.Task[Any] = asyncio.ensure_future(departs())
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)


class Driver(Reference):
    """Collects records and sends them twice a second."""

    pipe = Batches
