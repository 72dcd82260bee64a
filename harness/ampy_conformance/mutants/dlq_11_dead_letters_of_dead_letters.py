"""Treats a failing dead letter like any other record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Action, ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-11"
SAYS = "the failure of a dead letter made another one"


class Core(ConsumerCore):
    """Treats a failing dead letter like any other record."""

    def _give_up(self, record: Record, kind: str) -> list[Action]:
        """Make a dead letter of everything."""
        record.reason = f"{kind}: attempts exhausted"
        return self._kill(record)


class Driver(Reference):
    """The reference with this core."""

    core = Core
