"""Takes a header that it does not know for a violation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "HDR-25"
SAYS = "a record with unknown headers was not handled"


class Gate(Admission):
    """Takes a header that it does not know for a violation."""

    def refusal(self, record: Record) -> str | None:
        """Refuse unknown headers."""
        if "x_risk_band" in record.known:
            return "contract_violation: unknown header"
        return super().refusal(record)


class Driver(Reference):
    """The reference with this admission."""

    admission = Gate
