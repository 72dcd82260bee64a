"""Takes the message id for the Kafka key: spread well, and ordered with nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_transport import KafkaTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "BND-06"
SAYS = "is not its partition_key"


class Transport(KafkaTransport):
    """Takes the message id for the Kafka key."""

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return what no other record shares."""
        return headers.get("message_id")


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
