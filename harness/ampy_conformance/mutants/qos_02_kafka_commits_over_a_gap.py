"""Commits behind whatever was settled last, over records that are still in work."""

from __future__ import annotations

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_membership import KafkaMembership, Ledger
from ampy_conformance.bindings.kafka_transport import KafkaTransport

CLAUSE = "QOS-02"
SAYS = "acknowledged before the handler had a verdict"


class Forward(Ledger):
    """Counts to the record that was settled last."""

    def settle(self, offset: int) -> None:
        """Move on, whatever lies before."""
        super().settle(offset)
        self.prefix = self.wanted = max(self.prefix or 0, offset + 1)


class Membership(KafkaMembership):
    """Commits behind whatever was settled last."""

    ledger = Forward


class Transport(KafkaTransport):
    """Commits behind whatever was settled last."""

    membership = Membership


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
