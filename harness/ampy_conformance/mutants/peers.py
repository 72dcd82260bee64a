"""Degenerate peers: drivers that never carry a record. What has to become of them stands in `selftest/peers.py`."""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import Any, ClassVar

from ampy_conformance.kit import Driver, Refused

Frame = dict[str, Any]


class Silent(Driver):
    """Answers the handshake and nothing else."""

    identity: ClassVar[dict[str, str]] = {
        "name": "peer",
        "version": "0",
        "language": "python",
        "broker": "memory",
    }
    profiles: ClassVar[tuple[str, ...]] = ("core", "delivery")

    async def _reply(self, frame: Frame) -> Frame | None:
        """Say nothing, for ever."""
        await asyncio.Event().wait()
        return frame

    async def open(self, frame: Frame) -> Frame | None:
        """See `_reply`, like every method here."""
        return await self._reply(frame)

    open_producer = publish = subscribe = credit = settle = unsubscribe = close = open  # noqa: A003


class HangUp(Silent):
    """Ends at the first frame after the handshake."""

    async def _reply(self, frame: Frame) -> Frame | None:  # noqa: ARG002
        os._exit(0)


class RefuseEverything(Silent):
    """Says no to everything."""

    async def _reply(self, frame: Frame) -> Frame | None:
        raise Refused("denied", f"no {frame['op']}")


class AckEverything(Silent):
    """Says yes to everything, and delivers nothing."""

    async def _reply(self, frame: Frame) -> Frame | None:
        if frame["op"] == "publish":
            results = [{"outcome": "ok", "message_id": str(uuid.uuid4())} for _ in frame["records"]]
            return {"results": results}
        return None


class Echo(Silent):
    """Sends every frame back as its own answer."""

    async def _reply(self, frame: Frame) -> Frame | None:
        self._emit({**frame, "event": "deliver"})
        return None
