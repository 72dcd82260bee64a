"""Acknowledges every fiftieth record and does not send it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.builder import Outgoing
    from ampy_conformance.bindings.driver import Bus

CLAUSE = "SLO-07"
SAYS = "records acknowledged under load are not in the log"
NUMBERS = itertools.count(1)


class Driver(Reference):
    """Acknowledges every fiftieth record and does not send it."""

    async def _send(self, bus: Bus, outgoing: Outgoing) -> str:
        """Forget some."""
        if next(NUMBERS) % 50 == 0:
            return "0"
        return await super()._send(bus, outgoing)
