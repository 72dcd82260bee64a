"""Drops the instance from the producer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "HDR-12"
SAYS = "producer is not what the producer was opened with"


class Builder(EnvelopeBuilder):
    """Drops the instance from the producer."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        headers["producer"] = headers["producer"].partition("@")[0]
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
