"""Keeps nothing of the logical topic but what the Kafka topic says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_records import TOPIC_HEADER
from ampy_conformance.bindings.kafka_transport import KafkaTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.bindings.kafka_cluster import Headers

CLAUSE = "BND-05"
SAYS = "the topic of a record of"


class Transport(KafkaTransport):
    """Leaves the topic in full out."""

    def headers(self, topic: str, headers: Mapping[str, str]) -> Headers:
        """Return the envelope's headers alone."""
        return {n: each for n, each in super().headers(topic, headers).items() if n != TOPIC_HEADER}


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
