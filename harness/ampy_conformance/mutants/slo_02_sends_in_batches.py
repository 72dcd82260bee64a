"""Collects records and sends them twice a second."""

from __future__ import annotations

import time

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.mutants.slo_01_adds_60_ms import Late

CLAUSE = "SLO-02"
SAYS = "of the records took longer than 150 ms"
EVERY = 0.5


class Batches(Late):
    """Sends twice a second."""

    def wait(self) -> float:
        """Wait for the next departure."""
        return EVERY - time.monotonic() % EVERY


class Driver(Reference):
    """Collects records and sends them twice a second."""

    pipe = Batches
