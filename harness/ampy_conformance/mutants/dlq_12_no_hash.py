"""Leaves the payload hash out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-12"
SAYS = "no payload hash on the dead letter"


class Letters(DeadLetters):
    """Leaves the payload hash out."""

    def headers(self, record: Record) -> dict[str, str]:
        """Drop the hash."""
        headers = super().headers(record)
        del headers["payload_hash"]
        return headers


class Driver(Reference):
    """The reference with these dead letters."""

    letters = Letters
