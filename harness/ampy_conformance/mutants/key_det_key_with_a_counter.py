"""Adds a counter to every key to spread the load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "KEY-det"
SAYS = "two producers gave one entity two keys"


class Builder(EnvelopeBuilder):
    """Adds a counter to every key to spread the load."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["partition_key"] += f"#{id(outgoing) % 97}-{headers['message_id'][-4:]}"
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
