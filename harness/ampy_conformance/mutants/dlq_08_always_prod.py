"""Writes all dead letters to prod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-08"
SAYS = "the dead letter crossed into another env"


class Letters(DeadLetters):
    """Writes all dead letters to prod."""

    def topic(self, record: Record) -> str:
        """Take prod for the only env."""
        return f"ampy.prod.dlq.v1.{record.topic.split('.')[2]}"


class Driver(Reference):
    """The reference with these dead letters."""

    letters = Letters
