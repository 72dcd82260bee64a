"""Sends the payload through a text codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-07"
SAYS = "the payload was changed"


class Letters(DeadLetters):
    """Sends the payload through a text codec."""

    def payload(self, record: Record) -> bytes:
        """Replace what is not UTF-8, and add a line end."""
        return record.payload.decode("utf-8", "replace").encode() + b"\n"


class Driver(Reference):
    """The reference with these dead letters."""

    letters = Letters
