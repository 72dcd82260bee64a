"""Trusts its own seen-state and commits nothing: the group's lag says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_membership import KafkaMembership
from ampy_conformance.bindings.kafka_transport import KafkaTransport

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition

CLAUSE = "BND-08"
SAYS = "the group's offsets do not follow the handler"


class Membership(KafkaMembership):
    """Commits nothing."""

    def send(self, offsets: list[TopicPartition]) -> None:
        """Take it for done."""
        self.on_commit(None, offsets)


class Transport(KafkaTransport):
    """Commits nothing."""

    membership = Membership


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
