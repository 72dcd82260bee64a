"""Writes produced_at in local time."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.builder import Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "HDR-10"
SAYS = "records on the wire break it"


class Builder(EnvelopeBuilder):
    """Writes produced_at in local time."""

    def build(self, record: dict[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["produced_at"] = headers["produced_at"].replace("Z", "+02:00")
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
