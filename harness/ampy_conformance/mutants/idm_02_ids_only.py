"""Deduplicates by message_id alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "IDM-02"
SAYS = "a duplicate dedupe_key was handled"


class Gate(Admission):
    """Deduplicates by message_id alone."""

    def ids(self, record: Record) -> tuple[str, ...]:
        """Leave the dedupe_key out."""
        return super().ids(record)[:1]


class Driver(Reference):
    """The reference with this admission."""

    admission = Gate
