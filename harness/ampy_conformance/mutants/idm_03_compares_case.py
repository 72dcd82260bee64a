"""Compares ids byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "IDM-03"
SAYS = "an id in upper case was taken for another record"


class Gate(Admission):
    """Compares ids byte for byte."""

    def ids(self, record: Record) -> tuple[str, ...]:
        """Keep the case of the id."""
        return (f"id|{record.known.get('message_id')}",)


class Driver(Reference):
    """The reference with this admission."""

    admission = Gate
