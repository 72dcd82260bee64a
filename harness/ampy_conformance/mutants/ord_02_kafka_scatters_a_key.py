"""Spreads a key over the partitions for the sake of throughput."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_transport import KafkaTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "ORD-02"
SAYS = "first deliveries out of publish order"
NUMBERS = itertools.count()


class Transport(KafkaTransport):
    """Spreads a key over the partitions."""

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return the key with a number behind it."""
        return f"{headers.get('partition_key', '')}#{next(NUMBERS) % 16}"


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
