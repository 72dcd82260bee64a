"""Sends dead letters back with everything that the DLQ had added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.redrive import Redrive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-13"
SAYS = "the redriven record kept dlq_reason"


class AsItIs(Redrive):
    """Sends dead letters back with everything that the DLQ had added."""

    def headers(self, letter: Record) -> Mapping[str, str]:
        """Strip nothing."""
        return {**letter.headers, **super().headers(letter)}


class Driver(Reference):
    """The reference with this part."""

    redriver = AsItIs
