"""Puts every domain of an environment into one Kafka topic."""

from __future__ import annotations

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_transport import KafkaTransport

CLAUSE = "BND-05"
SAYS = "lies on a Kafka topic that nobody expects"


class Transport(KafkaTransport):
    """Puts every domain of an environment into one Kafka topic."""

    def topic(self, logical: str) -> str:
        """Return a topic that depends on the environment alone."""
        return f"ampy.{logical.split('.')[1]}.metrics.v1"

    def holds(self, name: str, pattern: str) -> bool:
        """Look there."""
        return name == self.topic(pattern)


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
