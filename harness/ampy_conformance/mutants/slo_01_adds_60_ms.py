"""Lets every record wait for sixty milliseconds before it sends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.pipeline import Pipeline

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing

CLAUSE = "SLO-01"
SAYS = "of the records took longer than 50 ms"


class Late(Pipeline):
    """Sends everything later."""

    def wait(self) -> float:
        """Return for how many seconds a record is kept."""
        return 0.06

    async def _send(self, outgoing: Outgoing, future: asyncio.Future[str], attempt: int) -> None:
        """Wait, and let nobody else wait for it."""
        send = super()._send

        async def later() -> None:
            await asyncio.sleep(self.wait())
            await send(outgoing, future, attempt)

        task: asyncio.Task[Any] = asyncio.ensure_future(later())
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)


class Driver(Reference):
    """Lets every record wait for sixty milliseconds before it sends it."""

    pipe = Late
