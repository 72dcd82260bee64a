"""The same on real JetStream: the consumer acknowledges what it pulls."""

from __future__ import annotations

from ampy_conformance.bindings.nats_driver import Driver as Reference
from ampy_conformance.mutants.qos_02_acks_on_delivery import Core

CLAUSE = "QOS-02"
SAYS = "acknowledged before the handler had a verdict"


class Driver(Reference):
    """The NATS reference with that core."""

    core = Core
