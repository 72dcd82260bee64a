"""Takes a refused dead letter for a written one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Action, ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-04"
SAYS = "the record is gone"


class Core(ConsumerCore):
    """Takes a refused dead letter for a written one."""

    def dead_written(self, record: Record, ok: bool, now: float) -> list[Action]:  # noqa: ARG002
        """Say that all is well."""
        return super().dead_written(record, ok=True, now=now)


class Driver(Reference):
    """The reference with this core."""

    core = Core
