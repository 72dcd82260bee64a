"""Prepares a replay in the thread that delivers: live records wait until it is done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ampy_conformance.bindings.records import Record

CLAUSE = "RPL-11"
SAYS = "while a replay goes on"
SECONDS = 0.9


class Replay(ReplayService):
    """Sorts as if it had to read everything again."""

    def ordered(self, records: Iterable[Record]) -> list[Record]:
        """Take its time, and everybody else's."""
        time.sleep(SECONDS)
        return super().ordered(records)


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
