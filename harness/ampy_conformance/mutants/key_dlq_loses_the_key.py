"""Keys dead letters by their topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "KEY-dlq"
SAYS = "the key was changed"


class Letters(DeadLetters):
    """Keys dead letters by their topic."""

    def headers(self, record: Record) -> dict[str, str]:
        """Replace the key."""
        return {**super().headers(record), "partition_key": self.topic(record)}


class Driver(Reference):
    """The reference with these dead letters."""

    letters = Letters
