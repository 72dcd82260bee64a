"""Puts the whole original topic behind the DLQ prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "TOP-16"
SAYS = "the dead letter is on another topic"


class Letters(DeadLetters):
    """Puts the whole original topic behind the DLQ prefix."""

    def topic(self, record: Record) -> str:
        """Prefix the original topic."""
        return f"ampy.{record.topic.split('.')[1]}.dlq.v1.{record.topic}"


class Driver(Reference):
    """The reference with these dead letters."""

    letters = Letters
