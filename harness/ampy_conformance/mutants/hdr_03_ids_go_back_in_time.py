"""Every second id is dated a minute back."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "HDR-03"
SAYS = "the time in the ids goes back"


class Builder(EnvelopeBuilder):
    """Every second id is dated a minute back."""

    count = 0

    def message_id(self) -> str:
        """Date every second id back."""
        self.count += 1
        identity = super().message_id()
        if self.count % 2:
            return identity
        stamp = int(identity.replace("-", "")[:12], 16) - 60_000
        text = f"{stamp:012x}"
        return f"{text[:8]}-{text[8:]}{identity[13:]}"


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
