"""Waits for requests on a topic that nobody uses."""

from __future__ import annotations

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

CLAUSE = "RPL-07"
SAYS = "starts no replay"


class Replay(ReplayService):
    """Waits for requests on a topic that nobody uses."""

    def control(self) -> str:
        """Return another topic."""
        return f"ampy.{self.env}.control.v1.replays"


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
