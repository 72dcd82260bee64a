"""Handles one record after the other, with a pause: what comes faster waits longer and longer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.memory_transport import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.bindings.memory_transport import MemoryMembership
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.transport import Shifts

CLAUSE = "SLO-01"
SAYS = "of the records took longer than 50 ms"
PAUSE = 0.1


class Slow(MemoryTransport):
    """Hands records over with pauses."""

    async def join(
        self,
        pattern: str,
        group: str,
        member: str,
        start: str,
        taken: Callable[[Record], None],
        shifts: Shifts | None = None,
    ) -> MemoryMembership:
        """Put a queue before the handler."""
        queue: asyncio.Queue[Record] = asyncio.Queue()

        async def hand_over() -> None:
            while True:
                record = await queue.get()
                await asyncio.sleep(PAUSE)
                taken(record)

        self._slow = [*getattr(self, "_slow", []), asyncio.ensure_future(hand_over())]
        return await super().join(pattern, group, member, start, queue.put_nowait, shifts)

    async def close(self) -> None:
        """End the queues as well."""
        for each in getattr(self, "_slow", []):
            each.cancel()
        await super().close()


class Driver(Reference):
    """Handles one record after the other, with a pause."""

    transport = Slow
