"""Knows only the domains of trading, and refuses the universe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.builder import EnvelopeBuilder, Invalid
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from ampy_conformance.contract.topics import Topic

CLAUSE = "TOP-03"
SAYS = "valid records were refused"


class Builder(EnvelopeBuilder):
    """Knows only the domains of trading, and refuses the universe."""

    def topic(self, text: str) -> Topic:
        """Refuse a domain that the contract has."""
        topic = super().topic(text)
        if topic.domain == "universe":
            raise Invalid("invalid_topic", "unknown domain")
        return topic


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
