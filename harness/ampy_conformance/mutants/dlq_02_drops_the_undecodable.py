"""Acknowledges what it cannot decode and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Action, ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-02"
SAYS = "the broken record is not in the DLQ"


class Core(ConsumerCore):
    """Acknowledges what it cannot decode and goes on."""

    def _kill(self, record: Record) -> list[Action]:
        """Drop decode errors."""
        if record.reason.startswith("decode_error"):
            return self._done(record)
        return super()._kill(record)


class Driver(Reference):
    """The reference with this core."""

    core = Core
