"""Names a payload type of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "SER-02"
SAYS = "records on the wire break it"


class Builder(EnvelopeBuilder):
    """Names a payload type of its own."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["schema_fqdn"] = "house.v1.Record"
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
