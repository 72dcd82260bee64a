"""Sends every attempt under an id of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uuid_utils

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.memory_transport import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "RTY-04"
SAYS = "under another id"


class Transport(MemoryTransport):
    """Sends every attempt under an id of its own."""

    async def publish(
        self, topic: str, headers: Mapping[str, str], payload: bytes, message_id: str | None
    ) -> str:
        """Make an id for each attempt."""
        fresh = {**headers, "message_id": str(uuid_utils.uuid7())}
        return await super().publish(topic, fresh, payload, message_id)


class Driver(Reference):
    """The reference with this part."""

    transport = Transport
