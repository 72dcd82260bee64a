"""Waits the same time before every attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.retry import RetryPolicy

if TYPE_CHECKING:
    from random import Random

CLAUSE = "RTY-01"
SAYS = "the pauses do not grow"


class Policy(RetryPolicy):
    """Waits the same time before every attempt."""

    def delay(self, attempts: int, random: Random) -> float:  # noqa: ARG002
        """Forget how many attempts there were."""
        return super().delay(1, random)


class Driver(Reference):
    """The reference with this part."""

    policy = Policy
