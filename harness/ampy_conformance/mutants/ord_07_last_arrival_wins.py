"""Holds what came last instead of what is latest."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.state import States

CLAUSE = "ORD-07"
SAYS = "a late arrival replaced what is newer"


class Keeps(States):
    """Holds what came last instead of what is latest."""

    def newer(self, old: int, new: int) -> bool:  # noqa: ARG002
        """Take whatever comes."""
        return True


class Driver(Reference):
    """The reference with this part."""

    states = Keeps
