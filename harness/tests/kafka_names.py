"""Kafka bindings that are right, or deaf, in a way of their own; run with `long`, `deaf` or both."""

from __future__ import annotations

import sys

from ampy_conformance.bindings.kafka_driver import Driver as Reference
from ampy_conformance.bindings.kafka_records import TOKENS, may_hold
from ampy_conformance.bindings.kafka_transport import KafkaTransport
from ampy_conformance.kit import serve


class Long(KafkaTransport):
    """Has one Kafka topic for every logical one, named like it (A-51)."""

    def topic(self, logical):
        return logical

    def holds(self, name, pattern):
        return len(name.split(".")) > TOKENS and may_hold(pattern, name)


class Deaf:
    """Takes what it is given and tells nobody."""

    async def join(self, pattern, group, member, start, taken, shifts=None):  # noqa: ARG002
        return await super().join(pattern, group, member, start, lambda _: None, shifts)


LEGAL = {"long": Long, "deaf": Deaf}


class Driver(Reference):
    """The reference with these parts."""

    transport = type("Transport", (*(LEGAL[each] for each in sys.argv[:0:-1]), KafkaTransport), {})


if __name__ == "__main__":
    serve(Driver)
