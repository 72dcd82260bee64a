"""Acknowledges what it has not settled when it leaves its group, as if leaving were handling."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.subscription import live
from ampy_conformance.bindings.transport import acknowledged

CLAUSE = "QOS-02"
SAYS = "was lost when its member left"


class Driver(Reference):
    """The reference that tidies up too much."""

    async def _leave(self, handle: str) -> None:
        """Acknowledge everything that is open, then leave."""
        subscription = self.subscriptions.get(handle)
        if subscription is not None and subscription.membership is not None:
            for record in live(subscription.core.held):
                await acknowledged(subscription.membership, record)
        await super()._leave(handle)
