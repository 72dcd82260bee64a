"""Hands out events in the order of their arrival, on a thread of its own.

So a listener may send requests, and even wait for their answers, without stopping the
driver's lines.
"""

from __future__ import annotations

import functools
import queue
import threading
from typing import TYPE_CHECKING, Any

from ampy_conformance.driver.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Event = Mapping[str, Any]
    Listener = Callable[[Event], None]

# Events of one handle for which nobody listens yet.
MOST_EARLY = 10_000
# Bytes of lines that wait for their listeners; credit keeps honest drivers far below.
MOST_WAITING = 256 * 1024 * 1024


class Flood(Exception):
    """A driver sends more events than anybody asked for."""


class Dispatch:
    """A queue of calls and the thread that makes them, one after the other."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._listeners: dict[str, Listener] = {}
        self._early: dict[str, list[tuple[Event, int]]] = {}
        self._waiting = 0
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="driver events", daemon=True)
        self._thread.start()

    def event(self, handle: str, frame: Event, size: int) -> None:
        """Queue an event of `size` bytes for the listener of its handle; raises `Flood`."""
        with self._lock:
            self._waiting += size
            if self._waiting > MOST_WAITING:
                raise Flood(f"over {MOST_WAITING} bytes of events wait to be handled")
            if handle not in self._listeners:
                early = self._early.setdefault(handle, [])
                if len(early) >= MOST_EARLY:
                    raise Flood(f"over {MOST_EARLY} events for a handle that nobody asked for")
                early.append((frame, size))
                return
        self.post(functools.partial(self._hand_out, handle, frame, size))

    def listen(self, handle: str, listener: Listener) -> None:
        """Call `listener` with every event of this handle, early ones first."""
        with self._lock:
            self._listeners[handle] = listener
            for frame, size in self._early.pop(handle, ()):
                self._calls.put(functools.partial(self._hand_out, handle, frame, size))

    def post(self, call: Callable[[], None]) -> None:
        """Queue a call; after the end it is made at once."""
        with self._lock:
            if not self._ended:
                self._calls.put(call)
                return
        call()

    def end(self, seconds: float) -> None:
        """Make the calls that are queued, then end; waits unless called by a listener."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._calls.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    def _hand_out(self, handle: str, frame: Event, size: int) -> None:
        with self._lock:
            self._waiting -= size
            listener = self._listeners[handle]
        listener(frame)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except DriverError:
                continue  # the listener met the end of the driver, which is told elsewhere
            except Exception as error:  # noqa: BLE001 (a fault of the suite must not hang it)
                self._failed(f"the suite's listener failed: {type(error).__name__}: {error}")
