"""Uses one consumer for all groups, so that they share the stream."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "QOS-07"
SAYS = "was not given every record"


class Driver(Reference):
    """Ignores the name of the group."""

    async def subscribe(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Join the one group."""
        return await super().subscribe({**frame, "group": "consumers"})
