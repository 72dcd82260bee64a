"""Stops working at the first record that it gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Action, ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-10"
SAYS = "a poison record stopped"


class Core(ConsumerCore):
    """Stops working at the first record that it gives up."""

    poisoned = False

    def _kill(self, record: Record) -> list[Action]:
        """Write the dead letter, and never go on."""
        self.poisoned = True
        return super()._kill(record)

    def _work(self, now: float) -> list[Action]:
        """Do nothing once poisoned."""
        return [] if self.poisoned else super()._work(now)


class Driver(Reference):
    """The reference with this core."""

    core = Core
