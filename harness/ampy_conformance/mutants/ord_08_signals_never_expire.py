"""Goes on holding signals that have expired."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.state import States

CLAUSE = "ORD-08"
SAYS = "a signal that came after it had expired is held"


class Keeps(States):
    """Goes on holding signals that have expired."""

    def valid(self, until: int) -> bool:  # noqa: ARG002
        """Keep everything."""
        return True


class Driver(Reference):
    """The reference with this part."""

    states = Keeps
