"""Writes a trace id of zeros where there is no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "HDR-15"
SAYS = "records on the wire break it"


class Builder(EnvelopeBuilder):
    """Writes a trace id of zeros where there is no trace."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers.update(
            trace_id="0" * 32, traceparent=f"00-{headers['trace_id']}-{headers['span_id']}-01"
        )
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
