"""Drops what comes in while its hands are full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import Ack, Action, ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "BKP-03"
SAYS = "acknowledged under load and dropped"
FAULTS = "slow-consumer"


class Core(ConsumerCore):
    """Drops what comes in while its hands are full."""

    def arrived(self, record: Record, now: float) -> list[Action]:
        """Keep a dozen records, and tell the broker that the rest is done."""
        if len(self._held) >= 12 and record.place not in self._held:
            return [Ack(record)]
        return super().arrived(record, now)


class Driver(Reference):
    """The reference with this part."""

    core = Core
