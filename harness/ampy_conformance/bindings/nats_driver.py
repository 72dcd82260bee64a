"""The reference binding on NATS JetStream."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

from ampy_conformance.bindings.driver import PROFILES, ReferenceDriver, identity
from ampy_conformance.bindings.nats_transport import NatsTransport


class Driver(ReferenceDriver):
    """What `nats` stands for."""

    identity: ClassVar[dict[str, str]] = identity("nats", f"nats-py {version('nats-py')}")
    profiles: ClassVar[tuple[str, ...]] = (*PROFILES, "nats")
    transport = NatsTransport
