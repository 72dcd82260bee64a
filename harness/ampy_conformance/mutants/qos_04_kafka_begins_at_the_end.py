"""Keeps no place for a group whose member died before its first commit: it begins at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_transport import KafkaTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.bindings.kafka_membership import KafkaMembership
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.transport import Shifts

CLAUSE = "QOS-04"
SAYS = "records published while it was away were skipped"


class Transport(KafkaTransport):
    """Gives every member a group of its own, at the end of the log."""

    async def join(
        self,
        pattern: str,
        group: str,
        member: str,
        start: str,
        taken: Callable[[Record], None],
        shifts: Shifts | None = None,
    ) -> KafkaMembership:
        """Join a group that nobody was in before."""
        del start
        fresh = f"{group}-{id(taken)}"
        return await super().join(pattern, fresh, member, "latest", taken, shifts)


class Driver(Reference):
    """The Kafka reference with this part."""

    transport = Transport
