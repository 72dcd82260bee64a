"""Handles whatever comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "IDM-01"
SAYS = "a duplicate message_id was handled again"


class Core(ConsumerCore):
    """Handles whatever comes."""

    def duplicate(self, record: Record) -> bool:  # noqa: ARG002
        """Nothing is a duplicate."""
        return False


class Driver(Reference):
    """The reference with this core."""

    core = Core
