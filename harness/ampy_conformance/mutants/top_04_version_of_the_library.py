"""Writes the major of its own version into topics."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.contract.topics import Topic

CLAUSE = "TOP-04"
SAYS = "records on the wire break it"


class Builder(EnvelopeBuilder):
    """Writes the major of its own version into topics."""

    def topic(self, text: str) -> Topic:
        """Move the record to the other major."""
        topic = super().topic(text)
        moved = topic.text.replace(f".{topic.version}.", ".v2.", 1)
        return Topic(moved, topic.env, topic.domain, "v2", topic.subtopic)


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
