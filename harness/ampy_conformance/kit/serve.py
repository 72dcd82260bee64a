"""The loop of a driver: lines in, lines out, requests as tasks."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from ampy_conformance.kit.base import Refused
from ampy_conformance.kit.lanes import Lanes
from ampy_conformance.kit.streams import Lines, Output, attached, standard
from ampy_conformance.protocol import FrameError, LineError, decode, encode, frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from ampy_conformance.kit.base import Driver, Frame

    Factory = Callable[[Callable[[Frame], None]], Driver]

MESSAGE = 500
# How long `stop` may take when the harness is gone.
LEAVING = 5.0


def serve(driver: Factory, *, port: int | None = None) -> None:
    """Run a driver until it is stopped or left alone.

    Over standard input and output, or, with `port`, over one TCP connection on 127.0.0.1
    (0 chooses a free port), so that it can run under a debugger.
    """
    asyncio.run(_Loop(driver).run(port))


class _Loop:
    def __init__(self, driver: Factory) -> None:
        self._frames = frames()
        self._factory = driver
        self._driver: Driver
        self._lanes: Lanes
        self._output: Output
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def run(self, port: int | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._driver = self._factory(self._send)
        self._lanes = Lanes(self._driver.concurrent)
        lines = Lines()
        self._output = await (standard(lines) if port is None else attached(lines, port))
        lines.begin(self._take)
        ends = [asyncio.ensure_future(each.wait()) for each in (self._stopping, lines.closed)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if lines.overlong:
            self._refuse(0, "bad_request", "a line is over the protocol's limit")
        if not self._stopping.is_set():
            await self._left_alone()
        for each in (*ends, *self._tasks):
            each.cancel()
        await asyncio.gather(*ends, *self._tasks, return_exceptions=True)
        await self._output.close()

    async def _left_alone(self) -> None:
        """Let the driver release what it has, although nobody asked for it."""
        try:
            async with asyncio.timeout(LEAVING):
                await self._driver.stop({})
        except Exception:  # noqa: BLE001 (nobody is there to be told)
            traceback.print_exc()

    # -- requests -----------------------------------------------------------------------

    def _take(self, line: bytes) -> None:
        number = 0
        try:
            frame = decode(line)
            number = _number(frame)
            if number and isinstance(op := frame.get("op"), str) and not self._knows(op):
                self._refuse(number, "unsupported", f"this driver has no {op[:40]}")
                return
            self._frames.check_request(frame)
        except (LineError, FrameError) as error:
            self._refuse(number, "bad_request", str(error))
            return
        task = self._loop.create_task(self._handle(frame, self._lanes.before(frame)))
        self._lanes.enter(frame, task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _knows(self, op: str) -> bool:
        return op in self._frames.operations and hasattr(self._driver, op)

    async def _handle(self, frame: Frame, before: AbstractSet[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        number, op = frame["id"], frame["op"]
        expects = self._frames.expects(op, frame)
        try:
            fields: Any = getattr(self._driver, op)(frame)
            if inspect.isawaitable(fields):
                fields = await fields
            answer = {"re": number, "ok": True, **(fields or {})}
            self._frames.check_answer(op, answer, expects)
            line = encode(answer)
        except Refused as refusal:
            self._refuse(number, refusal.code, str(refusal))
        except Exception as error:  # noqa: BLE001 (an author's mistake becomes an answer)
            traceback.print_exc()
            self._refuse(number, "internal", f"{type(error).__name__}: {error}")
        else:
            self._send_line(line)
            if op == "stop":
                self._stopping.set()

    # -- answers and events -------------------------------------------------------------

    def _refuse(self, number: int, code: str, message: str) -> None:
        text = message.encode("utf-8", "backslashreplace").decode()
        text = text if len(text) <= MESSAGE else text[:MESSAGE] + "..."
        answer = {"re": number, "ok": False, "error": {"code": code, "message": text}}
        try:
            self._frames.check_answer("refused", answer)
        except FrameError as error:
            print(f"a driver refused a request wrongly: {error}", file=sys.stderr)
            answer["error"] = {"code": "internal", "message": text}
        self._send(answer)

    def _send(self, frame: Frame) -> None:
        self._send_line(encode(frame))

    def _send_line(self, line: bytes) -> None:
        if threading.get_ident() == self._thread:
            self._output.put(line)
        else:
            self._loop.call_soon_threadsafe(self._output.put, line)


def _number(frame: Frame) -> int:
    """Return the id of a request, 0 where it cannot be read."""
    number = frame.get("id")
    return number if type(number) is int and number > 0 else 0
