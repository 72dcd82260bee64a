"""Joins symbol and mic the wrong way round for bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "KEY-bars"
SAYS = "partition_key is not the domain's"


class Builder(EnvelopeBuilder):
    """Joins symbol and mic the wrong way round for bars."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Spoil the headers of a finished envelope."""
        outgoing = super().build(record)
        headers = outgoing.headers
        mic, _, symbol = headers["partition_key"].partition(".")
        if record["topic"].split(".")[2] == "bars":
            headers["partition_key"] = f"{symbol}.{mic}"
        return outgoing


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
