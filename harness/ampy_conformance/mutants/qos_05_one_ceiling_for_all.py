"""Has one retry ceiling, whatever the domain."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.retry import RetryPolicy

CLAUSE = "QOS-05"
SAYS = "one retry ceiling for all QoS classes"


class Policy(RetryPolicy):
    """Has one retry ceiling, whatever the domain."""

    def exhausted(self, attempts: int, qos: str) -> bool:  # noqa: ARG002 (that is the bug)
        """Take every record for one of the middle class."""
        return super().exhausted(attempts, "B")


class Driver(Reference):
    """The reference with this policy."""

    policy = Policy
