"""One driver: requests, answers, events, deadlines; and its life from start to end.

Threads: the pump moves lines and notices the end (`pump`), the dispatcher calls listeners in
order (`dispatch`), and any thread may send requests. Whatever ends a driver is kept as one
sentence: every request that waits, and every later one, raises it.
"""

from __future__ import annotations

import functools
import heapq
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from ampy_conformance.driver import welcome
from ampy_conformance.driver.dispatch import Dispatch, Flood
from ampy_conformance.driver.errors import (
    CapabilityMissing,
    DriverDied,
    DriverError,
    DriverRefused,
    DriverTimeout,
    ProtocolViolation,
)
from ampy_conformance.driver.pending import Pending
from ampy_conformance.driver.pump import Pump
from ampy_conformance.driver.tail import LINES, Tail
from ampy_conformance.protocol import MAX_LINE, FrameError, LineError, decode, encode, frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.driver.dispatch import Listener
    from ampy_conformance.driver.endpoint import Endpoint

# A killed process is gone in milliseconds; beyond this the machine has other troubles.
REAPING = 10.0
# Listeners are quick by design; what they still have to do after the end is done in this time.
LISTENERS = 5.0


class Driver:
    """A connection to a driver; ended by `stop` (politely), `kill` or `close`."""

    def __init__(
        self,
        opener: Callable[[], Endpoint],
        name: str,
        *,
        time_scale: float = 1.0,
        incarnation: int = 0,
        stderr_tail: int = LINES,
    ) -> None:
        self.name = name
        self.frames = frames()
        self.incarnation = incarnation
        self._again = functools.partial(
            Driver, opener, name, time_scale=time_scale, stderr_tail=stderr_tail
        )
        self._time_scale = time_scale
        self._lock = threading.Lock()
        self._next = 0
        self._pending: dict[int, Pending] = {}
        self._deadlines: list[tuple[float, int, float]] = []  # when, id, seconds allowed
        self._failure: tuple[type[DriverError], str] | None = None
        self._ended_by_us = ""
        self._tail = Tail(stderr_tail)
        self._dispatch = Dispatch(functools.partial(self._fail, DriverError))
        try:
            self._endpoint = opener()
        except BaseException:
            self._dispatch.end(LISTENERS)
            raise
        self.can_kill = self._endpoint.can_kill
        self.pid = self._endpoint.pid
        self._pump = Pump(
            self._endpoint,
            self._tail,
            take=self._take,
            tick=self._tick,
            ended=self._ended,
            overlong=lambda: self._violation(f"a line is longer than {MAX_LINE} bytes"),
        )
        self._pump.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None and self.alive:
            self.stop()
        self.close()

    # -- requests -----------------------------------------------------------------------

    def send(self, op: str, timeout_ms: int | None = None, **fields: Any) -> Pending:
        """Send a request and return its pending answer; `timeout_ms` replaces the deadline.

        A driver that does not answer in time is ended: its state is not known any more.
        """
        pending = Pending(op, self.frames.expects(op, fields), self._dispatch.post)
        with self._lock:
            self._next += 1
            number = self._next
        frame = {"id": number, "op": op, **fields}
        self.frames.check_request(frame)
        line = encode(frame)
        milliseconds = self.frames.deadline_ms(op) if timeout_ms is None else timeout_ms
        # The handshake includes the start of the process, which no impatience makes faster.
        scale = max(self._time_scale, 1.0) if op == "hello" else self._time_scale
        seconds = milliseconds * scale / 1000
        with self._lock:
            if self._failure is None:
                self._pending[number] = pending
                heapq.heappush(self._deadlines, (time.monotonic() + seconds, number, seconds))
                self._pump.put(line)
                return pending
        pending.finish(None, self._error)
        return pending

    def request(self, op: str, timeout_ms: int | None = None, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer; raises `DriverRefused` for an error answer."""
        return self.send(op, timeout_ms, **fields).result()

    def on_event(self, handle: str, listener: Listener) -> None:
        """Call `listener` with every event of this handle, in order, early ones first.

        It runs on a thread of its own and may send requests; it should not block for long.
        """
        self._dispatch.listen(handle, listener)

    def hello(self, name: str, version: str, digest: str) -> welcome.Hello:
        """Exchange the handshake; a driver that fails it is ended."""
        try:
            return welcome.shake(self, name, version, digest)
        except BaseException:
            self.close()
            raise

    def check_clock(self) -> welcome.ClockVerdict:
        """Find out whether the driver's stamps can be believed."""
        return welcome.check_clock(self)

    # -- life and death -----------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Tell whether requests still make sense."""
        return self._failure is None

    @property
    def exit_code(self) -> int | None:
        """The exit code of a process that has ended; negative: the signal that ended it."""
        return self._pump.code

    @property
    def left_behind(self) -> list[str]:
        """Processes that a driver which ended by itself left in its session; they were killed."""
        return list(self._pump.left_behind)

    def stderr_tail(self) -> str:
        """Return the last lines of the driver's standard error."""
        return self._tail.text()

    def check(self) -> None:
        """Raise what the driver ended with, unless the harness itself ended it."""
        if self._failure is not None and not self._ended_by_us:
            raise self._error()

    def violated(self, says: str) -> DriverError:
        """End the driver for a violation of the protocol and return the error to raise."""
        self._violation(says)
        return self._error()

    def kill(self) -> None:
        """Kill the process group (SIGKILL), read its output to the end, reap it.

        `CapabilityMissing` for a driver that is attached and alive; the connection is closed.
        """
        was_alive = self.alive
        self.close()
        if was_alive and not self.can_kill:
            raise CapabilityMissing(
                "a driver attached over tcp: cannot be killed, its connection was closed instead; "
                "let the suite start it with exec:"
            )

    def close(self) -> None:
        """End the driver for certain, whatever its state, and release all it holds."""
        with self._lock:
            if self._failure is None and not self._ended_by_us:
                self._ended_by_us = "was killed by the harness"
        if self.can_kill:
            self._endpoint.signal(signal.SIGKILL)
        else:
            self._pump.abort()
        self._join(REAPING)
        self._dispatch.end(LISTENERS)

    def pause(self) -> None:
        """Freeze the process group (SIGSTOP)."""
        self._endpoint.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT); what it owes gets its full time again."""
        with self._lock:
            now = time.monotonic()
            self._deadlines = [(now + each[2], *each[1:]) for each in self._deadlines]
            heapq.heapify(self._deadlines)
        self._endpoint.signal(signal.SIGCONT)

    def stop(self, patience: float = 5.0) -> int | None:
        """Ask the driver to end and see to it that it does.

        Returns its exit code (0 for a driver that follows the protocol, negative where it
        had to be killed), None for one that is attached.
        """
        with self._lock:
            polite = self._failure is None and not self._ended_by_us
            if polite:
                self._ended_by_us = "was stopped by the harness"
        if polite:
            if self.can_kill:
                self.resume()
            # A refusal or a silence changes nothing: the process is told, then made, to end.
            self.send("stop", timeout_ms=round(patience * 1000)).wait()
            self._pump.finish_input()
            self._join(patience * max(self._time_scale, 1.0))
        self.close()
        return self.exit_code

    def respawn(self) -> Driver:
        """Start the same driver again, one incarnation later; this one is ended first."""
        self.close()
        return self._again(incarnation=self.incarnation + 1)

    def _join(self, seconds: float) -> None:
        if threading.current_thread() is not self._pump.thread:
            self._pump.thread.join(seconds)

    # -- failing ------------------------------------------------------------------------

    def _error(self) -> DriverError:
        """Make the exception for what the driver ended with; a new one for each raise."""
        kind, sentence = self._failure or (DriverDied, "the driver has ended")
        return kind(sentence)

    def _fail(self, kind: type[DriverError], says: str) -> None:
        """Let the first failure stand for the driver; everything pending ends with it."""
        tail = self._tail.text()
        said = f"; the last it said on standard error:\n{tail}" if tail else ""
        with self._lock:
            if self._failure is None:
                self._failure = (kind, says + said)
            waiting, self._pending = list(self._pending.values()), {}
            self._deadlines.clear()
        for each in waiting:
            each.finish(None, self._error)
        self._pump.abort()

    def _violation(self, says: str) -> None:
        self._fail(ProtocolViolation, f"protocol: {says}")

    # -- on the pump's thread -------------------------------------------------------------

    def _tick(self) -> None:
        """End the driver when a deadline has passed."""
        with self._lock:
            while self._deadlines and self._deadlines[0][1] not in self._pending:
                heapq.heappop(self._deadlines)  # answered
            if not self._deadlines or self._deadlines[0][0] > time.monotonic():
                return
            _, number, seconds = self._deadlines[0]
            op = self._pending[number].op
        self._fail(DriverTimeout, f"the driver did not answer {op} within {seconds:g} s")

    def _ended(self, how: str) -> None:
        """All output is read and the process reaped: what still waits will not be answered."""
        self._fail(DriverDied, f"the driver {self._ended_by_us or how}")
        self._dispatch.end(0)

    def _take(self, line: bytes) -> None:
        if self._failure is not None:
            return
        try:
            frame = decode(line)
        except LineError as error:
            self._violation(f"standard output is for frames only: {error}")
            return
        try:
            if "event" in frame:
                self.frames.check_event(frame)
                handle = frame.get("subscription") or frame.get("load") or ""
                self._dispatch.event(handle, frame, len(line))
            elif "re" in frame:
                self._answer(frame)
            else:
                self._violation("a frame is neither an answer (re) nor an event (event)")
        except (FrameError, Flood) as error:
            self._violation(str(error))

    def _answer(self, frame: dict[str, Any]) -> None:
        number = frame["re"]
        if type(number) is not int:
            raise FrameError("answer: re: is not an integer")
        with self._lock:
            pending = self._pending.get(number)
            known = 0 < number <= self._next
        if pending is None:
            raise FrameError(self._unasked(number, frame, known=known))
        self.frames.check_answer(pending.op, frame, pending.expects)
        with self._lock:
            self._pending.pop(number, None)
        if frame["ok"]:
            pending.finish(frame)
            return
        code, message = frame["error"]["code"], frame["error"]["message"]
        definite = self.frames.definite(code)
        pending.finish(
            None,
            functools.partial(DriverRefused, pending.op, code, message, definite=definite),
        )

    def _unasked(self, number: int, frame: dict[str, Any], *, known: bool) -> str:
        if number == 0 and frame.get("ok") is False:
            self.frames.check_answer("unread", frame)
            error = frame["error"]
            return f"the driver could not read a request: {error['code']}: {error['message']}"
        if known:
            return f"request {number} was answered twice"
        shown = str(number) if abs(number) < 1 << 63 else "a number beyond 64 bits"
        return f"there is an answer to request {shown}, which was never sent"
