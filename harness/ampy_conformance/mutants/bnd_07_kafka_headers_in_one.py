"""Folds the envelope's headers into a single record header."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings import kafka_membership
from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_records import record_of
from ampy_conformance.bindings.kafka_transport import KafkaTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Message

    from ampy_conformance.bindings.kafka_cluster import Headers
    from ampy_conformance.bindings.records import Record

CLAUSE = "BND-07"
SAYS = "lacks record headers"


class Membership(kafka_membership.KafkaMembership):
    """Unfolds them again."""

    def record(self, message: Message, token: Any) -> Record:
        """Return the record with the headers that were folded."""
        record = record_of(message, token)
        record.headers = json.loads(record.headers.get("envelope", "null")) or record.headers
        return record


class Transport(KafkaTransport):
    """Folds the envelope's headers into a single record header."""

    membership = Membership

    def headers(self, topic: str, headers: Mapping[str, str]) -> Headers:
        """Return one header for all."""
        return super().headers(topic, {"envelope": json.dumps(dict(headers))})


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
