"""The one thread that moves a driver's bytes: it never blocks on the driver, whatever that does.

Reading, writing, standard error, deadlines and the end of the process are all noticed here.
Callers put lines into a queue and get whole lines back through `take`.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from ampy_conformance.driver import family
from ampy_conformance.driver.endpoint import available
from ampy_conformance.protocol import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.driver.endpoint import Endpoint
    from ampy_conformance.driver.tail import Tail

# How often deadlines and the process are looked at while nothing else happens.
TICK = 0.05
CHUNK = 1 << 16
# A driver that closed a stream usually ends at once; its exit code is worth this wait.
LAST_WORDS = 1.0


class Pump:
    """Runs until the driver is gone or `abort` is called; then calls `ended` exactly once."""

    def __init__(
        self,
        endpoint: Endpoint,
        tail: Tail,
        *,
        take: Callable[[bytes], None],
        tick: Callable[[], None],
        ended: Callable[[str], None],
        overlong: Callable[[], None],
    ) -> None:
        self._endpoint = endpoint
        self._tail = tail
        self._take, self._tick, self._ended, self._overlong = take, tick, ended, overlong
        self._lock = threading.Lock()
        self._outbox: deque[bytes] = deque()
        self._current = memoryview(b"")
        self._finishing = False
        self._input_closed = False
        self._aborted = False
        self._exited = False
        self._closed_at: float | None = None
        self._closed = ""
        self._writing = False
        self._line = bytearray()
        self._scanned = 0
        self.code: int | None = None
        self.left_behind: list[str] = []
        self._wake_reads, self._wake_writes = os.pipe()
        os.set_blocking(self._wake_reads, False)
        os.set_blocking(self._wake_writes, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_reads, selectors.EVENT_READ, self._woken)
        self._selector.register(endpoint.reads, selectors.EVENT_READ, self._read)
        self._watch_input(writing=True)
        if endpoint.errors is not None:
            self._selector.register(endpoint.errors, selectors.EVENT_READ, self._read_errors)
        self.thread = threading.Thread(target=self._run, name="driver lines", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def put(self, line: bytes) -> None:
        """Queue a line for the driver."""
        with self._lock:
            self._outbox.append(line)
            self._wake()

    def finish_input(self) -> None:
        """Close the driver's input once everything queued is written."""
        with self._lock:
            self._finishing = True
            self._wake()

    def abort(self) -> None:
        """End the driver now; what it may still say is not read."""
        with self._lock:
            self._aborted = True
            self._wake()

    def _wake(self) -> None:
        """Wake the thread; called with the lock held, so that the pipe is still open."""
        if self._wake_writes >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_writes, b"!")

    # -- the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        how = "by a fault of the harness"
        try:
            how = self._loop()
        finally:
            self._selector.close()
            self.code = self._endpoint.close()
            with self._lock:
                os.close(self._wake_reads)
                os.close(self._wake_writes)
                self._wake_writes = -1
            self._ended(how + self._exit())

    def _exit(self) -> str:
        """Say how the process ended, unless it was we who ended it."""
        if self.code is None or not self._exited:
            return ""
        if self.code >= 0:
            return f" (exit code {self.code})"
        with contextlib.suppress(ValueError):
            return f" ({signal.Signals(-self.code).name})"
        return f" (signal {-self.code})"

    def _loop(self) -> str:
        while True:
            for key, mask in self._selector.select(TICK):
                key.data(mask)
            self._tick()
            if self._aborted:
                return "was ended"
            if self._endpoint.exited():
                self._exited = True
                self._drain()
                return "ended" + (" in the middle of a line" if self._line else "")
            if self._closed_at is not None and time.monotonic() > self._closed_at + LAST_WORDS:
                return self._closed

    def _woken(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_reads, CHUNK)
        self._watch_input(writing=True)

    def _watch_input(self, *, writing: bool) -> None:
        """Ask to be told when the driver's input takes bytes, and when it is closed.

        The writing end of a pipe is "readable" only when the other end is closed; a socket
        tells that through its reading side.
        """
        if writing == self._writing or self._input_closed:
            return
        self._writing = writing
        events = selectors.EVENT_WRITE if writing else 0
        events |= selectors.EVENT_READ if self._endpoint.can_kill else 0
        if self._endpoint.writes in self._selector.get_map():
            self._selector.unregister(self._endpoint.writes)
        if events:
            self._selector.register(self._endpoint.writes, events, self._write)

    def _leave_input(self) -> None:
        self._selector.unregister(self._endpoint.writes)
        self._writing, self._input_closed = False, True

    def _write(self, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            self._leave_input()
            self._close("closed its input")
            return
        if not self._current:
            with self._lock:
                self._current = memoryview(b"".join(self._outbox))
                self._outbox.clear()
                finishing = self._finishing
            if not self._current:
                if finishing:
                    self._leave_input()
                    self._endpoint.close_input()
                else:
                    self._watch_input(writing=False)
                return
        try:
            written = os.write(self._endpoint.writes, self._current[:CHUNK])
        except BlockingIOError:
            return
        except OSError:
            self._leave_input()
            self._close("closed its input")
            return
        self._current = self._current[written:]

    def _close(self, how: str) -> None:
        if self._closed_at is None:
            self._closed_at, self._closed = time.monotonic(), how

    def _read(self, _: int) -> None:
        try:
            data = os.read(self._endpoint.reads, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._split(data)
            return
        self._selector.unregister(self._endpoint.reads)
        cut = " in the middle of a line" if self._line else ""
        self._close(f"closed its output{cut}")
        if not self._endpoint.can_kill:  # there is no exit to wait for
            self._closed_at = 0.0

    def _read_errors(self, _: int) -> None:
        assert self._endpoint.errors is not None
        try:
            data = os.read(self._endpoint.errors, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._tail.feed(data)
        else:
            self._selector.unregister(self._endpoint.errors)

    def _drain(self) -> None:
        """Read what the process had written when it ended, and not what others may add.

        A child that it left behind may hold the pipes open, and may go on writing.
        """
        if self._endpoint.pid is not None:
            self.left_behind = family.companions(self._endpoint.pid)
        self._endpoint.signal(signal.SIGKILL)
        for descriptor, take in (
            (self._endpoint.errors, self._tail.feed),
            (self._endpoint.reads, self._split),
        ):
            if descriptor is None:
                continue
            left = available(descriptor)
            with contextlib.suppress(OSError):
                while left > 0 and (data := os.read(descriptor, min(left, CHUNK))):
                    left -= len(data)
                    take(data)

    def _split(self, data: bytes) -> None:
        self._line += data
        start = 0
        while (end := self._line.find(b"\n", max(start, self._scanned))) >= 0:
            line = bytes(self._line[start : end + 1])
            start = self._scanned = end + 1
            if len(line) > MAX_LINE:
                self._overlong()
            elif not self._aborted:
                self._take(line)
        del self._line[:start]
        self._scanned = len(self._line)
        if len(self._line) >= MAX_LINE:
            self._line.clear()
            self._scanned = 0
            self._overlong()
