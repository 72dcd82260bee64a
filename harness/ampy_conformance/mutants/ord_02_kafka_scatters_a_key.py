"""Spreads a key over the partitions for the sake of throughput."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_membership import KafkaMembership
from ampy_conformance.bindings.kafka_transport import KafkaTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from confluent_kafka import Message

    from ampy_conformance.bindings.kafka_membership import Ledger

CLAUSE = "ORD-02"
SAYS = "first deliveries out of publish order"
NUMBERS = itertools.count()
TURN = 0.03  # seconds


class Membership(KafkaMembership):
    """Reads one partition after the other, which no contract forbids: a key stands in one."""

    def _hand_over(self, batch: Sequence[tuple[Message, Ledger]]) -> None:
        for message, ledger in batch:
            later = TURN * (message.partition() or 0)
            self._loop.call_later(later, super()._hand_over, [(message, ledger)])


class Transport(KafkaTransport):
    """Spreads a key over the partitions."""

    membership = Membership

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return the key with a number behind it."""
        return f"{headers.get('partition_key', '')}#{next(NUMBERS) % 16}"


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
