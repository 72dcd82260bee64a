"""Says gzip and sends plain bytes."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "SER-05"
SAYS = "content_encoding and the bytes disagree"


class Builder(EnvelopeBuilder):
    """Says gzip and sends plain bytes."""

    def encode(self, body: bytes) -> tuple[bytes, bool]:
        """Mark, and do not compress."""
        return body, len(body) > self.compress_over


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
