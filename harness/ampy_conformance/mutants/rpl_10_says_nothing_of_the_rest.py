"""Replays the whole domain where one subtopic is asked for, and tells of no delivery that it is a replay."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.mutants.rpl_10_whole_domain import Replay

CLAUSE = "RPL-10"
SAYS = "records outside of the scope were replayed"


class Driver(Reference):
    """The reference with this part; what its driver says of replays is left out."""

    replay = Replay

    def emit(self, event: str, **fields: Any) -> None:
        """Tell as the reference does, without the tag."""
        fields.pop("replay", None)
        super().emit(event, **fields)
