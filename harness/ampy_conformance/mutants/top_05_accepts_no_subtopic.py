"""Publishes on a topic that ends at its version."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.contract.topics import Topic

CLAUSE = "TOP-05"
SAYS = "the binding acknowledged a record on a broken topic"


class Builder(EnvelopeBuilder):
    """Publishes on a topic that ends at its version."""

    def topic(self, text: str) -> Topic:
        """Take the tokens as they come."""
        tokens = text.split(".")
        return Topic(text, tokens[1], tokens[2], tokens[3], tuple(tokens[4:]))


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
