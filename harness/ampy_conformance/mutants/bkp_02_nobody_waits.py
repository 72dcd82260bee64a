"""Publishes everything as before while consumers are behind."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.pressure import Pressure

CLAUSE = "BKP-02"
SAYS = "low-priority publishes go on as before"


class Deaf(Pressure):
    """Publishes everything as before while consumers are behind."""

    def waits(self, domain: str) -> bool:  # noqa: ARG002
        """Let nobody wait."""
        return False


class Driver(Reference):
    """The reference with this part."""

    pressure = Deaf
