"""Remembers a record before its handler has succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Action, ConsumerCore, Deliver
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "IDM-04"
SAYS = "never took effect"


class Core(ConsumerCore):
    """Remembers a record before its handler has succeeded."""

    def _start(self, record: Record, lane: str, now: float) -> list[Action]:
        """Remember on delivery."""
        actions = super()._start(record, lane, now)
        for each in actions:
            if isinstance(each, Deliver):
                self.store.mark(record.ids)
        return actions


class Driver(Reference):
    """The reference with this core."""

    core = Core
