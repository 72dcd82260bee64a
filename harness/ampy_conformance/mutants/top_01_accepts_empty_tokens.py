"""Publishes on a topic with an empty token."""

from __future__ import annotations

from ampy_conformance.bindings.builder import EnvelopeBuilder
from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.contract.topics import Topic

CLAUSE = "TOP-01"
SAYS = "the record went out all the same"


class Builder(EnvelopeBuilder):
    """Publishes on a topic with an empty token."""

    def topic(self, text: str) -> Topic:
        """Take the tokens as they come."""
        tokens = text.split(".")
        return Topic(text, tokens[1], tokens[2], tokens[3], tuple(tokens[4:]))


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
