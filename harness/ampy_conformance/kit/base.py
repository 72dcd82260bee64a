"""The base class of Python drivers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

Frame = dict[str, Any]


class Refused(Exception):  # noqa: N818 (an answer, not an error)
    """Answer a request with an error; `code` is one of `schemas/driver/errors.json`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Driver:
    """One method a frame, named like it: `async def publish(self, frame) -> dict`.

    A method returns the fields of its answer (None for none), or raises `Refused`. What is
    not written answers `unsupported`. `identity` needs name, version, language and broker.
    """

    identity: ClassVar[dict[str, str]] = {}
    profiles: ClassVar[tuple[str, ...]] = ("core",)
    capabilities: ClassVar[tuple[str, ...]] = ()
    clock_kind: ClassVar[str] = "monotonic"

    def __init__(self, emit: Callable[[Frame], None]) -> None:
        self._emit = emit

    def emit(self, event: str, **fields: Any) -> None:
        """Send an event, for example `deliver`."""
        self._emit({"event": event, **fields})

    async def hello(self, frame: Frame) -> Frame:
        """Answer the handshake."""
        low, high = frame["protocol"]
        if not low <= 1 <= high:
            raise Refused("unsupported", "this driver speaks protocol 1")
        return {
            "protocol": 1,
            "identity": dict(self.identity),
            "profiles": list(self.profiles),
            "capabilities": list(self.capabilities),
            "clock": self.clock_kind,
            "nonce": frame["nonce"],
        }

    async def clock(self, frame: Frame) -> Frame:  # noqa: ARG002 (one signature for all)
        """Answer one stamp of the monotonic clock."""
        return {"t_ns": time.monotonic_ns()}

    async def stop(self, frame: Frame) -> None:
        """Release everything; the process ends after the answer."""
