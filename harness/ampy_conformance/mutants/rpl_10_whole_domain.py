"""Replays the whole domain where one subtopic is asked for."""

from __future__ import annotations

from typing import Any

from ampy_conformance.bindings.memory_driver import Driver as Reference
from ampy_conformance.bindings.replay import ReplayService

CLAUSE = "RPL-10"
SAYS = "records outside of the scope were replayed"


class Replay(ReplayService):
    """Replays the whole domain where one subtopic is asked for."""

    def source(self, request: Any) -> str:
        """Forget the subtopic."""
        return f"ampy.{self.env}.{request.domain}.{request.version or 'v1'}.>"


class Driver(Reference):
    """The reference with this part."""

    replay = Replay
