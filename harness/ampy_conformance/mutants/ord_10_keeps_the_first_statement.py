"""Keeps the first statement of a period, whatever restates it."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.state import States

CLAUSE = "ORD-10"
SAYS = "does not replace the earlier one"


class Keeps(States):
    """Keeps the first statement of a period, whatever restates it."""

    def newer(self, old: int, new: int) -> bool:  # noqa: ARG002
        """Keep what is there."""
        return False


class Driver(Reference):
    """The reference with this part."""

    states = Keeps
