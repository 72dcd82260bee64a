"""Drops a record once its attempts are used up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Action, ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-01"
SAYS = "no dead letter of a record whose handler always fails"


class Core(ConsumerCore):
    """Drops a record once its attempts are used up."""

    def _give_up(self, record: Record, kind: str) -> list[Action]:  # noqa: ARG002 (that is the bug)
        """Acknowledge, and say nothing."""
        return self._done(record)


class Driver(Reference):
    """The reference with this core."""

    core = Core
