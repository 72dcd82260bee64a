"""Frozen, then awake: goes on with the batch in its hands, whoever has taken over meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.consumer import Action, ConsumerCore
from ampy_conformance.bindings.nats_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "IDM-01"
SAYS = "a handler was called again for an id whose effect the binding had recorded before"
FAULTS = "pause-consumer"
FROZEN = 1.5  # seconds without a tick
REST = 2.5  # seconds until the batch is worked on


class Core(ConsumerCore):
    """Trusts its own buffer more than what the group has recorded."""

    def __init__(self, *parts: Any, **settings: Any) -> None:
        super().__init__(*parts, **settings)
        self._ticked = 0.0
        self._woken = -REST
        self._batch: list[Record] = []
        self._stale: set[str] = set()

    def arrived(self, record: Record, now: float) -> list[Action]:
        """Put aside what was waiting in the socket while the process was frozen."""
        self._look(now)
        if now - self._woken < 0.3:
            self._batch.append(record)
            self._stale.add(record.position)
            return []
        return super().arrived(record, now)

    def tick(self, now: float) -> list[Action]:
        """Work on the batch when things are calm again."""
        self._look(now)
        actions = super().tick(now)
        if self._batch and now - self._woken > REST:
            batch, self._batch = self._batch, []
            for each in batch:
                actions += super().arrived(each, now)
        return actions

    def _look(self, now: float) -> None:
        """Notice that the process was frozen, whoever is first to run after it."""
        if self._ticked and now - self._ticked > FROZEN:
            self._woken = now
        self._ticked = now

    def wake(self, now: float) -> float:
        """Tick often enough to notice that the process was frozen."""
        return min(0.2, super().wake(now))

    def duplicate(self, record: Record) -> bool:
        """Do not ask whether another member has handled the batch."""
        return record.position not in self._stale and super().duplicate(record)


class Driver(Reference):
    """The reference with this part."""

    core = Core
