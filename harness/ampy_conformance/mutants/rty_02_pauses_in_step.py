"""Waits without jitter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.retry import RetryPolicy

if TYPE_CHECKING:
    from random import Random

CLAUSE = "RTY-02"
SAYS = "the pauses have no jitter"


class Policy(RetryPolicy):
    """Waits without jitter."""

    def delay(self, attempts: int, random: Random) -> float:  # noqa: ARG002
        """Double, and nothing else."""
        return min(self.ceiling, self.base * 2.0 ** (attempts - 1))


class Driver(Reference):
    """The reference with this part."""

    policy = Policy
