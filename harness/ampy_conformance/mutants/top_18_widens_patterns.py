"""Subscribes to the whole domain, whatever the pattern says."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "TOP-18"
SAYS = "deliveries do not agree with the pattern"


class Driver(Reference):
    """Cuts the pattern after the version."""

    async def subscribe(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Join with a pattern that is too wide."""
        tokens = frame["pattern"].split(".")[:4]
        return await super().subscribe({**frame, "pattern": ".".join([*tokens, ">"])})
