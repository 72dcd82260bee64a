"""Gives replayed records ids of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uuid_utils

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ampy_conformance.bindings.records import Record

CLAUSE = "RPL-08"
SAYS = "replayed records carry new ids"


class Replay(ReplayService):
    """Gives replayed records ids of their own."""

    def ordered(self, records: Iterable[Record]) -> list[Record]:
        """Make ids."""
        found = super().ordered(records)
        for each in found:
            each.headers = {**each.headers, "message_id": str(uuid_utils.uuid7())}
        return found


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
