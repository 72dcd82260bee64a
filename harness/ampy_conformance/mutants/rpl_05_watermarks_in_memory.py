"""Keeps the watermarks in memory only."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.store import Store

CLAUSE = "RPL-05"
SAYS = "watermarks were lost with the process"


class Memory(Store):
    """Keeps the watermarks in memory only."""

    def __init__(self, folder: str, group: str) -> None:
        """Begin anew."""
        super().__init__(folder, group)
        self._marks: dict[str, str] = {}

    def _advance(self, key: str, position: str) -> None:
        """Keep it here."""
        self._marks[key] = position

    def watermarks(self) -> dict[str, str]:
        """Return what this process knows."""
        return self._marks


class Driver(Reference):
    """The reference with this part."""

    store = Memory
