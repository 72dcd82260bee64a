"""Says only that something failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-06"
SAYS = "dlq_reason is not `class: detail`"


class Letters(DeadLetters):
    """Says only that something failed."""

    def headers(self, record: Record) -> dict[str, str]:
        """Write a reason without a class."""
        return {**super().headers(record), "dlq_reason": "Failed"}


class Driver(Reference):
    """The reference with these dead letters."""

    letters = Letters
