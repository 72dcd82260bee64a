"""Sends large payloads as they are."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "SER-04"
SAYS = "went out uncompressed"


class Builder(EnvelopeBuilder):
    """Sends large payloads as they are."""

    def encode(self, body: bytes) -> tuple[bytes, bool]:
        """Leave the body alone."""
        return body, False


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
