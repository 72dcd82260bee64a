"""Counts a replayed record as the place of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

CLAUSE = "RPL-05"
SAYS = "a replay moved live checkpoints"


class Memory(Store):
    """Counts a replayed record as the place of its key."""

    def mark(self, ids: Sequence[str], **more: Any) -> None:
        """Take the first record of a replay for the place of every key."""
        super().mark(ids, **more)
        if more.get("watermark") is None:
            self._db.execute("UPDATE watermarks SET position = 1")


class Driver(Reference):
    """The reference with this part."""

    store = Memory
