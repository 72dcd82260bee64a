"""Writes the router's identity over the producer's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-05"
SAYS = "original headers are missing or changed"


class Letters(DeadLetters):
    """Writes the router's identity over the producer's."""

    def headers(self, record: Record) -> dict[str, str]:
        """Replace producer and source."""
        return {**super().headers(record), "producer": "bus-router@1", "source": "ampy-bus"}


class Driver(Reference):
    """The reference with these dead letters."""

    letters = Letters
