"""Hands every record over twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.consumer import Action, ConsumerCore
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "IDM-01"
SAYS = "a duplicate message_id was handled again"


class Core(ConsumerCore):
    """Hands every record over twice."""

    def __init__(self, *given: Any, **named: Any) -> None:
        """Remember what had its second turn."""
        super().__init__(*given, **named)
        self._again: set[str] = set()

    def settled(
        self, delivery: str, verdict: str, now: float
    ) -> tuple[Record | None, list[Action]]:
        """Take the first success for a failure."""
        record = self._handling.get(delivery)
        if verdict == "ack" and record is not None and record.position not in self._again:
            self._again.add(record.position)
            return super().settled(delivery, "fail", now)
        return super().settled(delivery, verdict, now)


class Driver(Reference):
    """The reference with this core."""

    core = Core
