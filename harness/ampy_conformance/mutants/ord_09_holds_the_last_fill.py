"""Holds the last fill instead of the sum of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.state import States

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.state import Claim
    from ampy_conformance.bindings.store import State
    from ampy_conformance.contract.model import Domain

CLAUSE = "ORD-09"
SAYS = "fills in any order do not add up"


class Keeps(States):
    """Holds the last fill instead of the sum of all."""

    def changed(
        self, domain: Domain, old: State | None, claim: Claim, record: Record
    ) -> State | None:
        """Forget what was there where records add up."""
        if domain.order.rule == "accumulate":
            old = None
        return super().changed(domain, old, claim, record)


class Driver(Reference):
    """The reference with this part."""

    states = Keeps
