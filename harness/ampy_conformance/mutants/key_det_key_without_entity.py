"""Uses the domain as the key of everything."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.builder import Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "KEY-det"
SAYS = "two entities share a key"


class Builder(EnvelopeBuilder):
    """Uses the domain as the key of everything."""

    def build(self, record: dict[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["partition_key"] = record["topic"].split(".")[2]
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
