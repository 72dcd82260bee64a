"""Gives a record up after its first failure."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.retry import RetryPolicy

CLAUSE = "RTY-05"
SAYS = "dead-lettered without a retry"


class Policy(RetryPolicy):
    """Gives a record up after its first failure."""

    def exhausted(self, attempts: int, qos: str) -> bool:  # noqa: ARG002
        """One attempt is enough."""
        return attempts >= 1


class Driver(Reference):
    """The reference with this policy."""

    policy = Policy
