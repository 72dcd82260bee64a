"""A request that waits for its answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Pending:
    """The future answer of one request; done exactly once."""

    def __init__(self, op: str) -> None:
        self.op = op
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._answer: dict[str, Any] | None = None
        self._error: Exception | None = None
        self._callbacks: list[Callable[[dict[str, Any] | None], None]] = []

    def finish(self, answer: dict[str, Any] | None, error: Exception | None = None) -> None:
        """Set the answer, or the error; what comes later is ignored."""
        with self._lock:
            if self._done.is_set():
                return
            self._answer, self._error = answer, error
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for each in callbacks:
            each(answer)

    def on_done(self, callback: Callable[[dict[str, Any] | None], None]) -> None:
        """Call back with the answer, or with None where the request failed."""
        with self._lock:
            if not self._done.is_set():
                self._callbacks.append(callback)
                return
        callback(self._answer)

    def wait(self, seconds: float) -> bool:
        """Wait until the request is done."""
        return self._done.wait(seconds)

    def result(self) -> dict[str, Any]:
        """Return the answer of a request that is done, or raise what it ended with."""
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer
