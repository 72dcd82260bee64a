"""Forgets the topic in the scope of a dedupe_key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "IDM-05"
SAYS = "a distinct record was suppressed as a duplicate"


class Gate(Admission):
    """Forgets the topic in the scope of a dedupe_key."""

    def ids(self, record: Record) -> tuple[str, ...]:
        """Use the bare dedupe_key."""
        return (super().ids(record)[0], f"key|{record.known.get('dedupe_key', record.position)}")


class Driver(Reference):
    """The reference with this admission."""

    admission = Gate
