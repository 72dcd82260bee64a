"""Redrives without counting: a record may go round for ever, and nobody sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.redrive import Redrive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-13"
SAYS = "retry_count was not raised by one"


class Uncounted(Redrive):
    """Redrives without counting."""

    def headers(self, letter: Record) -> Mapping[str, str]:
        """Say that it is the first retry, each time."""
        return {**super().headers(letter), "retry_count": "1"}


class Driver(Reference):
    """The reference with this part."""

    redriver = Uncounted
