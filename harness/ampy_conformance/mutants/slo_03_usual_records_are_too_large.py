"""Refuses records that are merely large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.builder import EnvelopeBuilder, Invalid
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "SLO-03"
SAYS = "was not acknowledged"


class Builder(EnvelopeBuilder):
    """Refuses records that are merely large."""

    def check(self, headers: Mapping[str, str], wire: bytes) -> None:
        """Take 200 KiB for the limit."""
        super().check(headers, wire)
        if len(wire) > 200 * 1024:
            raise Invalid("too_large", "the record is larger than this producer likes")


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
