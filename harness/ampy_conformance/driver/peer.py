"""One driver: requests, answers, events and deadlines.

Threads: a reader takes lines apart, a writer empties a queue (so that a driver which reads
nothing cannot block the harness), a dispatcher calls handlers in order (so that a handler
may itself send requests).
"""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from ampy_conformance.driver import welcome
from ampy_conformance.driver.errors import (
    DriverDied,
    DriverError,
    DriverRefused,
    DriverTimeout,
    ProtocolViolation,
)
from ampy_conformance.driver.pending import Pending
from ampy_conformance.protocol import MAX_LINE, FrameError, frames
from ampy_conformance.protocol.line import LineError, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ampy_conformance.driver.channel import Process, Socket

    Listener = Callable[[Mapping[str, Any]], None]

# Events of a subscription for which nobody listens yet are kept up to here.
BACKLOG = 10_000


class Driver:
    """A connection to a driver; closed by `stop` (politely) or `kill`."""

    def __init__(
        self,
        opener: Callable[[], Process | Socket],
        name: str,
        *,
        time_scale: float = 1.0,
        incarnation: int = 0,
    ) -> None:
        self.name = name
        self.frames = frames()
        self.incarnation = incarnation
        self._opener = opener
        self._time_scale = time_scale
        self._channel = opener()
        self.can_kill = self._channel.can_kill
        self._lock = threading.Lock()
        self._next = 0
        self._pending: dict[int, Pending] = {}
        self._answered: deque[int] = deque(maxlen=1000)
        self._error: DriverError | None = None
        self._ended_by_us = False
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._listeners: dict[str, Listener] = {}
        self._early: defaultdict[str, deque[Mapping[str, Any]]] = defaultdict(
            lambda: deque(maxlen=BACKLOG)
        )
        self._threads = [
            threading.Thread(target=each, daemon=True)
            for each in (self._read, self._write, self._dispatch)
        ]
        for each in self._threads:
            each.start()

    # -- requests -----------------------------------------------------------------------

    def send(self, op: str, **fields: Any) -> Pending:
        """Send a request and return its pending answer."""
        pending = Pending(op)
        with self._lock:
            if self._error is not None:
                pending.finish(None, self._error)
                return pending
            self._next += 1
            number = self._next
            self._pending[number] = pending
        frame = {"id": number, "op": op, **fields}
        self.frames.check_request(frame)
        self._outbox.put(encode(frame))
        return pending

    def request(self, op: str, timeout: float | None = None, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer; raises `DriverRefused` for an error answer."""
        pending = self.send(op, **fields)
        limit = (timeout or self.frames.deadline(op)) * self._time_scale
        if not pending.wait(limit):
            raise self._fail(DriverTimeout(f"the driver did not answer {op} within {limit:g} s{self._said()}"))
        return pending.result()

    def on_event(self, handle: str, listener: Listener) -> None:
        """Call `listener` with every event of this handle, in order, early ones first."""

        def attach() -> None:
            self._listeners[handle] = listener
            for frame in self._early.pop(handle, ()):
                listener(frame)

        self._events.put(attach)

    def hello(self, name: str, version: str, digest: str) -> welcome.Hello:
        """Exchange the handshake."""
        return welcome.shake(self, name, version, digest)

    def check_clock(self) -> welcome.ClockVerdict:
        """Find out whether the driver's stamps can be believed."""
        return welcome.check_clock(self)

    # -- life and death -----------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Tell whether requests still make sense."""
        return self._error is None

    def check(self) -> None:
        """Raise what the driver ended with, unless the harness itself ended it."""
        if self._error is not None and not self._ended_by_us:
            raise self._error

    def violated(self, says: str) -> DriverError:
        """End the driver for a violation of the protocol and return the error to raise."""
        return self._fail(ProtocolViolation(f"protocol: {says}{self._said()}"))

    def kill(self) -> None:
        """Kill the process (SIGKILL), read its output to the end, reap it."""
        self._ended_by_us = self._ended_by_us or self._error is None
        if self.can_kill:
            self._channel.signal(signal.SIGKILL)
            self._threads[0].join(5.0)
        self._fail(DriverDied("the driver was killed by the harness"))
        self._close()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP)."""
        self._channel.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._channel.signal(signal.SIGCONT)

    def stop(self, patience: float = 5.0) -> int | None:
        """Ask the driver to end, and see to it that it does; returns its exit code."""
        if self.alive:
            self._ended_by_us = True
            with contextlib.suppress(DriverError):
                self.request("stop")
            self._outbox.put(None)
        code = self._channel.wait(patience)
        self._fail(DriverDied("the driver was stopped by the harness"))
        self._close()
        return code

    def respawn(self) -> Driver:
        """Start the same driver again, one incarnation later."""
        return Driver(
            self._opener,
            self.name,
            time_scale=self._time_scale,
            incarnation=self.incarnation + 1,
        )

    def _close(self) -> None:
        self._outbox.put(None)
        self._events.put(None)
        self._channel.close()
        for each in self._threads:
            if each is not threading.current_thread():
                each.join(2.0)

    def _fail(self, error: DriverError) -> DriverError:
        """Let the first error stand for the driver; everything pending ends with it."""
        with self._lock:
            if self._error is None:
                self._error = error
            waiting, self._pending = list(self._pending.values()), {}
            first = self._error
        for each in waiting:
            each.finish(None, first)
        if isinstance(first, ProtocolViolation | DriverTimeout) and self.can_kill:
            self._channel.signal(signal.SIGKILL)
        return first

    def _said(self) -> str:
        tail = self._channel.tail()
        return f"; the last it said on standard error:\n{tail}" if tail else ""

    # -- threads ------------------------------------------------------------------------

    def _write(self) -> None:
        while (data := self._outbox.get()) is not None:
            try:
                self._channel.write(data)
            except (OSError, ValueError):
                return  # the reader finds out what happened

    def _read(self) -> None:
        try:
            while line := self._channel.reader.readline(MAX_LINE + 1):
                if not line.endswith(b"\n"):
                    if len(line) > MAX_LINE:
                        self._fail_line(f"a line is longer than {MAX_LINE} bytes")
                        return
                    break  # cut off by the death of the process
                self._take(line)
                if self._error is not None and not self._ended_by_us:
                    return
        except (OSError, ValueError):
            pass
        code = self._channel.wait(1.0)
        how = "" if code is None else f" (exit {code})" if code >= 0 else f" (signal {-code})"
        self._fail(DriverDied(f"the driver ended{how}{self._said()}"))

    def _fail_line(self, says: str) -> None:
        self._fail(ProtocolViolation(f"protocol: {says}{self._said()}"))

    def _take(self, line: bytes) -> None:
        try:
            frame = decode(line)
        except LineError as error:
            self._fail_line(f"standard output is for frames only: {error}")
            return
        if "event" in frame:
            self._event(frame)
        elif "re" in frame:
            self._answer(frame)
        else:
            self._fail_line("a frame is neither an answer (re) nor an event")

    def _event(self, frame: dict[str, Any]) -> None:
        try:
            self.frames.check_event(frame)
        except FrameError as error:
            self._fail_line(str(error))
            return
        handle = frame.get("subscription") or frame.get("load") or ""

        def call() -> None:
            listener = self._listeners.get(handle)
            if listener is None:
                self._early[handle].append(frame)
            else:
                listener(frame)

        self._events.put(call)

    def _answer(self, frame: dict[str, Any]) -> None:
        number = frame["re"]
        with self._lock:
            pending = self._pending.pop(number, None) if isinstance(number, int) else None
        if pending is None:
            twice = number in self._answered
            says = f"request {number!r} was answered twice" if twice else f"an answer to {number!r}, which nobody asked"
            if self._error is None:
                self._fail_line(says)
            return
        self._answered.append(number)
        try:
            self.frames.check_answer(pending.op, frame)
        except FrameError as error:
            violation = self._fail(ProtocolViolation(f"protocol: {error}{self._said()}"))
            pending.finish(None, violation)
            return
        if frame["ok"]:
            pending.finish(frame)
        else:
            code = frame["error"]["code"]
            refusal = DriverRefused(
                pending.op, code, frame["error"]["message"], definite=self.frames.definite(code)
            )
            pending.finish(None, refusal)

    def _dispatch(self) -> None:
        while (call := self._events.get()) is not None:
            try:
                call()
            except DriverError:
                continue  # the handler met the end of the driver, which is told elsewhere
            except Exception as error:  # noqa: BLE001 (a fault of the suite must not hang it)
                self._fail(DriverError(f"the suite's handler failed: {type(error).__name__}: {error}"))
