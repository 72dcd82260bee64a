"""Leaves it to the handler to decompress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "SER-12"
SAYS = "the handler did not get the decompressed payload"


class Gate(Admission):
    """Leaves it to the handler to decompress."""

    def body(self, record: Record) -> bytes:
        """Return the bytes of the wire."""
        return record.payload


class Driver(Reference):
    """The reference with this admission."""

    admission = Gate
