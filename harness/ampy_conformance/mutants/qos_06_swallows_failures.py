"""Reports every publish as done."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "QOS-06"
SAYS = "a publish that the broker refused was reported as done"


class Driver(Reference):
    """Turns a failure into success."""

    async def _publish(self, *given: Any) -> dict[str, Any]:
        """Say ok whatever happened."""
        result = await super()._publish(*given)
        return {**result, "outcome": "ok"}
