"""Acknowledges a record when it hands it to the handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Ack, Action, ConsumerCore, Deliver
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "QOS-02"
SAYS = "acknowledged before the handler had a verdict"


class Core(ConsumerCore):
    """Acknowledges a record when it hands it to the handler."""

    def _start(self, record: Record, lane: str, now: float) -> list[Action]:
        """Acknowledge first."""
        actions = super()._start(record, lane, now)
        return [Ack(record) for each in actions if isinstance(each, Deliver)] + actions


class Driver(Reference):
    """The reference with this core."""

    core = Core
