"""Compresses and does not say so."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "SER-05"
SAYS = "content_encoding and the bytes disagree"


class Builder(EnvelopeBuilder):
    """Compresses and does not say so."""

    def encode(self, body: bytes) -> tuple[bytes, bool]:
        """Compress, and do not mark."""
        return super().encode(body)[0], False


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
