"""Makes a new run_id for every record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "HDR-14"
SAYS = "run_id is not what the producer was opened with"


class Builder(EnvelopeBuilder):
    """Makes a new run_id for every record."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["run_id"] = headers["message_id"]
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
