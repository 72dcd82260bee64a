"""Takes a payload field that it does not know for a violation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "SER-09"
SAYS = "a payload with an unknown field was not handled"


class Gate(Admission):
    """Takes a payload field that it does not know for a violation."""

    def refusal(self, record: Record) -> str | None:
        """Refuse the field of a later version."""
        if record.payload.endswith(b"later"):
            return "decode_error: unknown field"
        return super().refusal(record)


class Driver(Reference):
    """The reference with this admission."""

    admission = Gate
