"""The base class of Python drivers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from ampy_conformance.protocol import frames

if TYPE_CHECKING:
    from collections.abc import Callable

Frame = dict[str, Any]


class Refused(Exception):
    """Answer a request with an error; `code` is one of `schemas/driver/errors.json`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Driver:
    """One method a frame, named like it: `async def publish(self, frame) -> dict`.

    A method returns the fields of its answer (None for none), or raises `Refused`. What is
    not written answers `unsupported`. `identity` needs name, version, language and broker.

    Requests run concurrently. Those that name the same producer or subscription start in
    the order of arrival, and one waits for the end of the other, except for the operations
    in `concurrent`, which only wait for those that are not in it.
    """

    identity: ClassVar[dict[str, str]] = {}
    profiles: ClassVar[tuple[str, ...]] = ("core",)
    capabilities: ClassVar[tuple[str, ...]] = ()
    clock_kind: ClassVar[str] = "monotonic"
    # One verdict must not wait for another: a dead letter may take its time.
    concurrent: ClassVar[frozenset[str]] = frozenset(
        {"settle", "credit", "checkpoint", "lag", "query"}
    )

    def __init__(self, emit: Callable[[Frame], None]) -> None:
        self._emit = emit

    def emit(self, event: str, **fields: Any) -> None:
        """Send an event, for example `deliver`; from any thread.

        Raises `FrameError` for an event that is not what the schema says.
        """
        frame = {"event": event, **fields}
        frames().check_event(frame)
        self._emit(frame)

    async def hello(self, frame: Frame) -> Frame:
        """Answer the handshake."""
        low, high = frame["protocol"]
        oldest, newest = frames().versions
        chosen = min(high, newest)
        if chosen < max(low, oldest):
            raise Refused("unsupported", f"this driver speaks protocol {oldest} to {newest}")
        return {
            "protocol": chosen,
            "identity": dict(self.identity),
            "profiles": list(self.profiles),
            "capabilities": list(self.capabilities),
            "clock": self.clock_kind,
            "nonce": frame["nonce"],
        }

    async def clock(self, frame: Frame) -> Frame:  # noqa: ARG002 (one signature for all)
        """Answer one stamp of the monotonic clock."""
        return {"t_ns": time.monotonic_ns()}

    async def stop(self, frame: Frame) -> Frame | None:
        """Release everything; the process ends after the answer.

        Called with an empty frame where the harness is gone without having said so.
        """
