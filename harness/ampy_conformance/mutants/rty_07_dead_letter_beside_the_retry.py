"""Writes a dead letter at every failure, and retries all the same."""

from __future__ import annotations

from ampy_conformance.bindings.consumer import Action, ConsumerCore, WriteDead
from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.records import Record

CLAUSE = "RTY-07"
SAYS = "a transient failure left a dead letter"


class Core(ConsumerCore):
    """Writes a dead letter at every failure, and retries all the same."""

    def settled(
        self, delivery: str, verdict: str, now: float
    ) -> tuple[Record | None, list[Action]]:
        """Write a dead letter beside the retry."""
        record, actions = super().settled(delivery, verdict, now)
        if record is not None and verdict == "fail":
            record.reason = "handler_error: failed"
            headers = self.letters.headers(record)
            copy = Record(record.position + "-copy", record.topic, headers, record.payload)
            actions = [
                WriteDead(copy, self.letters.topic(record), headers, record.payload),
                *actions,
            ]
        return record, actions

    def dead_written(self, record: Record, ok: bool, now: float) -> list[Action]:
        """Forget the copy."""
        if record.position.endswith("-copy"):
            return []
        return super().dead_written(record, ok, now)


class Driver(Reference):
    """The reference with this core."""

    core = Core
