"""Never gives a record up."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.retry import RetryPolicy

CLAUSE = "RTY-06"
SAYS = "attempts go on without an end"


class Policy(RetryPolicy):
    """Never gives a record up."""

    def exhausted(self, attempts: int, qos: str) -> bool:  # noqa: ARG002 (that is the bug)
        """No attempt is the last."""
        return False


class Driver(Reference):
    """The reference with this policy."""

    policy = Policy
