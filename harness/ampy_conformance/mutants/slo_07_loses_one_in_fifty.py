"""Acknowledges every fiftieth record and does not send it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.pipeline import Pipeline

if TYPE_CHECKING:
    import asyncio

    from ampy_conformance.bindings.builder import Outgoing

CLAUSE = "SLO-07"
SAYS = "records acknowledged under load are not in the log"
NUMBERS = itertools.count(1)


class Loses(Pipeline):
    """Forgets some."""

    async def _send(self, outgoing: Outgoing, future: asyncio.Future[str], attempt: int) -> None:
        """Promise every fiftieth and forget it."""
        if next(NUMBERS) % 50 == 0:
            future.set_result("0")
        else:
            await super()._send(outgoing, future, attempt)


class Driver(Reference):
    """Acknowledges every fiftieth record and does not send it."""

    pipe = Loses
