"""Writes the version it was tested with, whatever was published."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.builder import Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "HDR-06"
SAYS = "schema_version is not what was published"


class Builder(EnvelopeBuilder):
    """Writes the version it was tested with, whatever was published."""

    def build(self, record: dict[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["schema_version"] = "1.9.7"
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
