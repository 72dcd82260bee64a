"""While a replay goes on, and for a while after it, live records wait as well."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "RPL-11"
SAYS = "while a replay goes on"
LATER = 0.4
A_WHILE = 30.0


class Driver(Reference):
    """Works off what is replayed and what is live with the same slow hands."""

    _busy_until = 0.0

    def _hand_over(self, handle: str, record: Record) -> None:
        """Let a record wait."""
        loop = asyncio.get_running_loop()
        if record.replay:
            self._busy_until = loop.time() + A_WHILE
        if loop.time() < self._busy_until:
            loop.call_later(LATER, super()._hand_over, handle, record)
        else:
            super()._hand_over(handle, record)
