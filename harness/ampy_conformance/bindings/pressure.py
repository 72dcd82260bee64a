"""Backpressure over the bus itself: consumers tell their lag, producers of low priority wait.

The signal is a record like any other, a Metric `bus.consumer_lag` on the metrics topic of the
service `ampy-bus` (section 8, A-56): any producer in the env can hear it. It is repeated while it
lasts, so that one heard by nobody, or a consumer that died, holds nobody up for long.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.transport import Refusal
from ampy_conformance.contract import payloads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.contract import Contract

SERVICE = "ampy-bus"
SCHEMA = "ampy.metrics.v1.Metric"
METRIC = "bus.consumer_lag"
EVERY = 0.2  # seconds between looks at the lag
LASTS = 2.0  # seconds for which a signal holds when it is not repeated
LOW = "C"  # the QoS class whose producers wait


def topic(env: str) -> str:
    """Return where the signals of an env travel."""
    return f"ampy.{env}.metrics.v1.{SERVICE}"


def signal(consumer: str, lag: int, *, raised: bool) -> dict[str, object]:
    """Return the fields of the metric that says how far a consumer is behind."""
    return {"name": METRIC, "value": lag, "labels": {"consumer": consumer, "raised": str(raised)}}


class Pressure:
    """What the producers of a bus have heard of consumers that are behind."""

    def __init__(self, contract: Contract, patience: float) -> None:
        self._contract = contract
        self._types = payloads.types(contract)
        self._patience = patience
        self._raised: dict[str, float] = {}

    def hear(self, _: str, headers: Mapping[str, str], payload: bytes) -> None:
        """Take a record of the signals' topic; what is no signal is ignored."""
        if headers.get("schema_fqdn") != SCHEMA:
            return
        metric: Any = self._types.decode(SCHEMA, payload)
        if metric.name == METRIC:
            consumer = metric.labels["consumer"]
            if metric.labels["raised"] == str(True):
                self._raised[consumer] = time.monotonic() + LASTS
            else:
                self._raised.pop(consumer, None)

    @property
    def raised(self) -> bool:
        """Whether some consumer is behind now."""
        return bool(self._raised) and any(
            until > time.monotonic() for until in self._raised.values()
        )

    def waits(self, domain: str) -> bool:
        """Tell whether producers of a domain have to wait for consumers that are behind."""
        return self._contract.domains[domain].qos == LOW

    async def gate(self, domain: str) -> None:
        """Wait while consumers are behind; raises `Refusal` when that takes too long."""
        if not self.waits(domain):
            return
        deadline = time.monotonic() + self._patience
        while self.raised:
            if time.monotonic() > deadline:
                raise Refusal("throttled", "consumers are behind, and this domain can wait")
            await asyncio.sleep(0.02)


class Alarm:
    """When a consumer's lag is worth a signal: above `high`, until it is at `low` again."""

    def __init__(self, high: int, low: int) -> None:
        self._high, self._low = high, low
        self.raised = False

    def heard(self, lag: int) -> bool:
        """Take a lag and tell whether the signal is to be sent, raised or just cleared."""
        before = self.raised
        self.raised = lag > self._low if before else lag >= self._high
        return self.raised or before
