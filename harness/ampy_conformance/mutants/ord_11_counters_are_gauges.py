"""Takes the increments of a counter for its value."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.state import States

CLAUSE = "ORD-11"
SAYS = "increments of a counter do not add up"


class Keeps(States):
    """Takes the increments of a counter for its value."""

    def counts(self, metric: str) -> bool:  # noqa: ARG002
        """Know gauges only."""
        return False


class Driver(Reference):
    """The reference with this part."""

    states = Keeps
