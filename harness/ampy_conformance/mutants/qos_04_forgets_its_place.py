"""Joins under a new name each time, so that its place in the log is lost."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "QOS-04"
SAYS = "records handled before the restart were handled again"


class Driver(Reference):
    """Makes the subscription's handle a part of the group's name."""

    async def subscribe(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Join a group that nobody has joined before."""
        return await super().subscribe({**frame, "group": frame["group"] + frame["subscription"]})
