"""Cells of the matrix of faults against properties: which case looks for what, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ampy_conformance.faults import catalogue
from ampy_conformance.history import properties

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.faults.catalogue import Fault


@dataclass(frozen=True)
class Cell:
    """One fault and one property that it gives a chance to show."""

    fault: str
    property: str
    clauses: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.fault}-{self.property}"


def wanted(names: Sequence[str]) -> list[Fault]:
    """Return the faults that were asked for; raises `UsageError` for what is unknown or missing."""
    found = catalogue.chosen(names)
    if found:
        properties.duckdb()
    return found


def cells(contract: Contract) -> list[Cell]:
    """Return every cell of the matrix; raises `SpecError` for a property that is not there."""
    rules = {each.name: each for each in properties.load(contract)}
    return [
        Cell(fault.name, name, rules[name].clauses)
        for fault in catalogue.FAULTS.values()
        for name in fault.properties
    ]
