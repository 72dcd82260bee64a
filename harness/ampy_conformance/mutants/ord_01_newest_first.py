"""Hands a backlog over newest first, as a LIFO prefetch buffer would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.consumer import ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections import deque

    from ampy_conformance.bindings.records import Record

CLAUSE = "ORD-01"
SAYS = "first deliveries out of publish order"


class Core(ConsumerCore):
    """Hands a backlog over newest first, as a LIFO prefetch buffer would."""

    def lane(self, record: Record) -> str:
        """Order nothing."""
        return record.position

    def next_lane(self, ready: deque[str]) -> str:
        """Take what came last."""
        return ready.pop()


class Driver(Reference):
    """The reference with this core."""

    core = Core
