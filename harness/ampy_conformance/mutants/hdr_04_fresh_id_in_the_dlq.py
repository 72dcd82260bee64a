"""Gives a dead letter an id of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uuid_utils

from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "HDR-04"
SAYS = "the id was changed"


class Letters(DeadLetters):
    """Gives a dead letter an id of its own."""

    def headers(self, record: Record) -> dict[str, str]:
        """Replace the id."""
        return {**super().headers(record), "message_id": str(uuid_utils.uuid7())}


class Driver(Reference):
    """The reference with these dead letters."""

    letters = Letters
