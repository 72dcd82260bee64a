"""Drops the instance from the producer."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.builder import Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "HDR-12"
SAYS = "producer is not what the producer was opened with"


class Builder(EnvelopeBuilder):
    """Drops the instance from the producer."""

    def build(self, record: dict[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["producer"] = headers["producer"].partition("@")[0]
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
