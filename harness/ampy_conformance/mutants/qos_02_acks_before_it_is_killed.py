"""Acknowledges on delivery; shows when a member is killed with records in its hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Ack, Action, ConsumerCore, Deliver
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "QOS-02"
SAYS = "never given to another"
FAULTS = "kill-before-effect"


class Core(ConsumerCore):
    """Acknowledges on delivery; shows when a member is killed with records in its hands."""

    def _start(self, record: Record, lane: str, now: float) -> list[Action]:
        """Acknowledge first, and forget on failure."""
        actions = super()._start(record, lane, now)
        return [Ack(record) for each in actions if isinstance(each, Deliver)] + actions


class Driver(Reference):
    """The reference with this part."""

    core = Core
