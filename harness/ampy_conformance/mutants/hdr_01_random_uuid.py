"""Uses UUIDs of version 4, which do not sort by time."""

from __future__ import annotations

import uuid

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference

CLAUSE = "HDR-01"
SAYS = "records on the wire break it"


class Builder(EnvelopeBuilder):
    """Uses UUIDs of version 4, which do not sort by time."""

    def message_id(self) -> str:
        """Return a random UUID."""
        return str(uuid.uuid4())


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
