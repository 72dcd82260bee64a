"""Loses the last byte of every payload."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "SER-01"
SAYS = "records on the wire break it"


class Builder(EnvelopeBuilder):
    """Loses the last byte of every payload."""

    def encode(self, body: bytes) -> tuple[bytes, bool]:
        """Cut the body."""
        return super().encode(body[:-1])


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
