"""Gives up when the connection is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.nats_driver import Driver as Reference
from ampy_conformance.bindings.nats_transport import NatsTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.bindings.transport import Tuning

CLAUSE = "SLO-06"
SAYS = "nothing was acknowledged and handled any more"
FAULTS = "cut"


class Transport(NatsTransport):
    """Gives up when the connection is cut."""

    async def connect(self, url: str, names: Mapping[str, str], tuning: Tuning) -> None:
        """Connect once."""
        await super().connect(url, names, tuning)
        self.client.options["allow_reconnect"] = False


class Driver(Reference):
    """The reference with this part."""

    transport = Transport
