"""Leaves commits to the client library, which commits what was fetched, handled or not."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_membership import KafkaMembership
from ampy_conformance.bindings.kafka_transport import KafkaTransport

CLAUSE = "QOS-02"
SAYS = "acknowledged before the handler had a verdict"


class Membership(KafkaMembership):
    """Leaves commits to the client library."""

    def options(self) -> dict[str, Any]:
        """Return the library's own defaults, with a shorter interval."""
        return {
            **super().options(),
            "enable.auto.commit": True,
            "enable.auto.offset.store": True,
            "auto.commit.interval.ms": 100,
        }


class Transport(KafkaTransport):
    """Leaves commits to the client library."""

    membership = Membership


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
