"""Lets one acknowledgement stand for all records before it, also those that are being retried."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.nats_driver import Driver as Reference
from ampy_conformance.bindings.nats_transport import NatsTransport

CLAUSE = "QOS-02"
SAYS = "the broker counted a record as acknowledged before its effect"
FAULTS = "handler-fails"


class Transport(NatsTransport):
    """Lets one acknowledgement stand for all records before it."""

    def consumer(self, name: str, pattern: str, start: str) -> dict[str, Any]:
        """Ask for the cheaper policy: the checkpoint runs ahead of the work."""
        return {**super().consumer(name, pattern, start), "ack_policy": "all"}


class Driver(Reference):
    """The reference on this transport."""

    transport = Transport
