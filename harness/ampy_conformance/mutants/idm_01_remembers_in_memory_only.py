"""Keeps what it has seen in the memory of the process."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.store import Store

CLAUSE = "IDM-01"
SAYS = "a duplicate was handled again after a restart"


class Volatile(Store):
    """A store that ends with the process."""

    def __init__(self, folder: str, group: str) -> None:  # noqa: ARG002 (the file is the point)
        self._open(":memory:")


class Driver(Reference):
    """The reference with this store."""

    store = Volatile
