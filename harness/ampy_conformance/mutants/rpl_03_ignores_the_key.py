"""Ignores the key of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "RPL-03"
SAYS = "records of other entities were replayed"


class Replay(ReplayService):
    """Ignores the key of a request."""

    def in_key_scope(self, record: Record, request: Any) -> bool:  # noqa: ARG002
        """Take every entity."""
        return True


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
