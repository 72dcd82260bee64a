"""Leaves the source out of metrics, which have so many records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "HDR-24"
SAYS = "required headers are missing in some domains"


class Builder(EnvelopeBuilder):
    """Leaves the source out of metrics, which have so many records."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        if outgoing.topic.split(".")[2] == "metrics":
            del headers["source"]
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
