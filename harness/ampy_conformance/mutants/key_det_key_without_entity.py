"""Uses the domain as the key of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "KEY-det"
SAYS = "two entities share a key"


class Builder(EnvelopeBuilder):
    """Uses the domain as the key of everything."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["partition_key"] = record["topic"].split(".")[2]
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
