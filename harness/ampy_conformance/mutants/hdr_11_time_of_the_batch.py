"""Stamps records with the time of an hour ago."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "HDR-11"
SAYS = "produced_at is not when the record was published"


class Builder(EnvelopeBuilder):
    """Stamps records with the time of an hour ago."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["produced_at"] = "2025-09-05T19:31:01Z"
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
