"""Does not look whether a replayed record took effect already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "RPL-04"
SAYS = "effects were repeated by a replay"


class Core(ConsumerCore):
    """Does not look whether a replayed record took effect already."""

    def duplicate(self, record: Record) -> bool:
        """Look at live records only."""
        return record.replay is None and super().duplicate(record)


class Driver(Reference):
    """The reference with this part."""

    core = Core
