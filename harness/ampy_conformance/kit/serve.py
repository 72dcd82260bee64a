"""The loop of a driver: lines in, lines out, requests as tasks."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from ampy_conformance.kit.base import Refused
from ampy_conformance.protocol import FrameError, frames
from ampy_conformance.protocol.line import LineError, decode, encode

if TYPE_CHECKING:
    from ampy_conformance.kit.base import Driver, Frame

READ_SIZE = 1 << 20
# Requests that name the same of these are handled one after the other, in order of arrival.
LANES = ("producer", "subscription", "bus")


def serve(driver: type[Driver]) -> None:
    """Run a driver over standard input and output until it is stopped or left alone."""
    asyncio.run(_Loop(driver).run())


class _Loop:
    def __init__(self, driver: type[Driver]) -> None:
        self._frames = frames()
        # Whatever the binding prints must not get between the frames.
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._driver = driver(self._send_event)
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._buffer: list[bytes] = []
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=READ_SIZE * 16)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        stopped = asyncio.ensure_future(self._stopping.wait())
        while not stopped.done():
            line = asyncio.ensure_future(reader.readline())
            await asyncio.wait((line, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                line.cancel()
                break
            data = line.result()
            if not data:
                await self._driver.stop({})
                break
            self._take(data)
        stopped.cancel()
        for each in self._tasks:
            each.cancel()
        self._flush()

    def _take(self, line: bytes) -> None:
        try:
            frame = decode(line)
            self._frames.check_request(frame)
        except (LineError, FrameError) as error:
            self._refuse(0, "bad_request", str(error))
            return
        lane = next((frame[each] for each in LANES if each in frame), "")
        before = self._lanes.get(lane) if lane else None
        task = asyncio.ensure_future(self._handle(frame, before))
        if lane:
            self._lanes[lane] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, frame: Frame, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait((before,))
        number, op = frame["id"], frame["op"]
        method = getattr(self._driver, op, None)
        if method is None:
            self._refuse(number, "unsupported", f"this driver has no {op}")
            return
        try:
            fields = await method(frame)
        except Refused as refusal:
            self._refuse(number, refusal.code, str(refusal))
        except Exception as error:  # noqa: BLE001 (an author's mistake becomes an answer)
            traceback.print_exc()
            self._refuse(number, "internal", f"{type(error).__name__}: {error}"[:500])
        else:
            answer = {"re": number, "ok": True, **(fields or {})}
            try:
                self._frames.check_answer(op, answer)
            except FrameError as error:
                self._refuse(number, "internal", f"the driver's own answer is wrong: {error}")
                return
            self._send(answer)
            if op == "stop":
                self._stopping.set()

    def _refuse(self, number: int, code: str, message: str) -> None:
        self._send({"re": number, "ok": False, "error": {"code": code, "message": message}})

    def _send_event(self, frame: dict[str, Any]) -> None:
        self._frames.check_event(frame)
        self._send(frame)

    def _send(self, frame: dict[str, Any]) -> None:
        """Queue a line; lines of one turn of the loop leave in one write."""
        if not self._buffer:
            asyncio.get_running_loop().call_soon(self._flush)
        self._buffer.append(encode(frame))

    def _flush(self) -> None:
        data, self._buffer = b"".join(self._buffer), []
        view = memoryview(data)
        while view:
            view = view[self._out.write(view) :]
