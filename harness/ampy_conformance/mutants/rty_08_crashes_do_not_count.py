"""Counts attempts in memory, so that a crash starts anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "RTY-08"
SAYS = "a record that kills its worker is never given up"


class Core(ConsumerCore):
    """Counts attempts in memory, so that a crash starts anew."""

    def tried(self, record: Record) -> int:
        """Return what this process knows."""
        return record.attempt

    def begin(self, record: Record) -> int:
        """Count in the record alone."""
        return record.attempt + 1


class Driver(Reference):
    """The reference with this core."""

    core = Core
