"""Replays records in any order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ampy_conformance.bindings.records import Record

CLAUSE = "RPL-09"
SAYS = "the order differs"


class Replay(ReplayService):
    """Replays records in any order."""

    def ordered(self, records: Iterable[Record]) -> list[Record]:
        """Shuffle."""
        found = super().ordered(records)
        random.shuffle(found)
        return found


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
