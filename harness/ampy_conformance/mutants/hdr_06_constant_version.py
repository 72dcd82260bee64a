"""Writes the version it was tested with, whatever was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "HDR-06"
SAYS = "schema_version is not what was published"


class Builder(EnvelopeBuilder):
    """Writes the version it was tested with, whatever was published."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["schema_version"] = "1.9.7"
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
