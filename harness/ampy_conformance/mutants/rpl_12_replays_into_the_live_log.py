"""Publishes what it replays on the live topic as well."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

CLAUSE = "RPL-12"
SAYS = "in the live log again, without a mark"


class Replay(ReplayService):
    """Publishes what it replays on the live topic as well."""

    async def replay(self, request: Any) -> None:
        """Publish copies."""
        records = await self._transport.read(self.source(request))
        wanted = [each for each in records if self.in_scope(each, request)]
        await super().replay(request)
        for each in wanted:
            await self._transport.publish(each.topic, each.headers, each.payload, None)


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
