"""Starts to count retries at -1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "HDR-19"
SAYS = "records on the wire break it"


class Builder(EnvelopeBuilder):
    """Starts to count retries at -1."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["retry_count"] = "-1"
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
