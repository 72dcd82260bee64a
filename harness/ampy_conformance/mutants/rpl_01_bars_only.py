"""Replays bars and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "RPL-01"
SAYS = "was not replayed"


class Replay(ReplayService):
    """Replays bars and nothing else."""

    def in_scope(self, record: Record, request: Any) -> bool:
        """Leave the other domains out."""
        return request.domain == "bars" and super().in_scope(record, request)


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
