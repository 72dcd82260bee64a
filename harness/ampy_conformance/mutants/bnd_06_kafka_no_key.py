"""Publishes without a Kafka key, so that a key's records are scattered over the partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_transport import KafkaTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "BND-06"
SAYS = "is not its partition_key"


class Transport(KafkaTransport):
    """Publishes without a Kafka key."""

    def key(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Leave it to the partitioner."""
        return None


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
