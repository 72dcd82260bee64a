"""Includes the record at the end of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "RPL-02"
SAYS = "the window is not [start, end)"


class Replay(ReplayService):
    """Includes the record at the end of the window."""

    def in_window(self, record: Record, request: Any) -> bool:
        """Let the end be a millisecond later."""
        later = type(request)()
        later.CopyFrom(request)
        if later.HasField("end"):
            later.end.FromNanoseconds(request.end.ToNanoseconds() + 1_000_000)
        return super().in_window(record, later)


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
