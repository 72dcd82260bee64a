"""Takes records of one entity for duplicates of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "IDM-05"
SAYS = "a distinct record was suppressed as a duplicate"


class Gate(Admission):
    """Takes records of one entity for duplicates of one another."""

    def ids(self, record: Record) -> tuple[str, ...]:
        """Add the partition key."""
        return (*super().ids(record), f"entity|{record.key}")


class Driver(Reference):
    """The reference with this admission."""

    admission = Gate
