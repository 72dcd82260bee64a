"""Bounded retries with exponential backoff and jitter (RTY-01, RTY-02, RTY-06)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


# Ceilings by QoS class, where whoever opens the bus sets none: trading records deserve more
# patience than telemetry (QOS-05, A-25).
CEILINGS = {"A": 8, "B": 5, "C": 3}


@dataclass(frozen=True)
class RetryPolicy:
    """How often and when; times in seconds. `max_attempts` None: by the record's QoS class."""

    max_attempts: int | None = None
    base: float = 0.2
    ceiling: float = 30.0

    def exhausted(self, attempts: int, qos: str) -> bool:
        """Tell whether no attempt is left after so many, for a record of this QoS class."""
        return attempts >= (self.max_attempts or CEILINGS[qos])

    def delay(self, attempts: int, random: random.Random) -> float:
        """Return the pause after so many attempts: doubling, with a jitter of a quarter."""
        full = min(self.ceiling, self.base * 2.0 ** (attempts - 1))
        jitter: float = random.uniform(0.75, 1.25)
        return full * jitter
