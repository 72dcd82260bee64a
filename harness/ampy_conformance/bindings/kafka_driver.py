"""The reference binding on Apache Kafka."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

from ampy_conformance.bindings.driver import PROFILES, ReferenceDriver, identity
from ampy_conformance.bindings.kafka_transport import KafkaTransport


class Driver(ReferenceDriver):
    """What `kafka` stands for."""

    identity: ClassVar[dict[str, str]] = identity(
        "kafka", f"confluent-kafka {version('confluent-kafka')}"
    )
    profiles: ClassVar[tuple[str, ...]] = (*PROFILES, "kafka")
    transport = KafkaTransport
