"""Waits without a limit for a handler that hangs."""

from __future__ import annotations

from ampy_conformance.bindings.consumer import Action, ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "RTY-08"
SAYS = "is never given up"


class Core(ConsumerCore):
    """Waits without a limit for a handler that hangs."""

    def tick(self, now: float) -> list[Action]:
        """Let no handler time out."""
        self.handler_timeout = 1e9
        return super().tick(now)


class Driver(Reference):
    """The reference with this core."""

    core = Core
