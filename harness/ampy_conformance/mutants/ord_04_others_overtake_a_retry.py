"""Lets records of the same key pass while one waits for its retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "ORD-04"
SAYS = "effects out of causal order"


class Core(ConsumerCore):
    """Lets records of the same key pass while one waits for its retry."""

    def lane(self, record: Record) -> str:
        """Order nothing: each record is a queue of its own."""
        return record.position


class Driver(Reference):
    """The reference with this core."""

    core = Core
