"""Checks that a record decodes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

CLAUSE = "DLQ-03"
SAYS = "the broken record was given to the handler"


class Gate(Admission):
    """Checks that a record decodes, and nothing else."""

    def refusal(self, record: Record) -> str | None:
        """Let contract violations through."""
        reason = super().refusal(record)
        return None if reason and reason.startswith("contract_violation") else reason

    def ids(self, record: Record) -> tuple[str, ...]:
        """Use the position where there is no id."""
        return (record.known.get("message_id", record.position),)


class Driver(Reference):
    """The reference with this admission."""

    admission = Gate
