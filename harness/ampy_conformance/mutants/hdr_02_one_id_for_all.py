"""Makes one id a producer and uses it for every record."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "HDR-02"
SAYS = "ids are shared"


class Builder(EnvelopeBuilder):
    """Makes one id a producer and uses it for every record."""

    shared: str | None = None

    def message_id(self) -> str:
        """Return the first id again."""
        self.shared = self.shared or super().message_id()
        return self.shared


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
