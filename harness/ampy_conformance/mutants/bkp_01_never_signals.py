"""Falls behind in silence."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.pressure import Alarm

CLAUSE = "BKP-01"
SAYS = "a consumer far behind signals nothing"


class Quiet(Alarm):
    """Falls behind in silence."""

    def heard(self, lag: int) -> bool:  # noqa: ARG002
        """Hear nothing."""
        return False


class Driver(Reference):
    """The reference with this part."""

    alarm = Quiet
