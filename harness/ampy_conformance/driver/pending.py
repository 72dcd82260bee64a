"""A request that waits for its answer."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ampy_conformance.driver.errors import DriverError

    Callback = Callable[[dict[str, Any] | None], None]
    # What a request ended with instead of an answer; makes a new exception for each caller.
    Failure = Callable[[], DriverError]


class Pending:
    """The future answer of one request; done exactly once.

    The driver's deadline ends it for certain, so that waiting for it needs no limit.
    """

    def __init__(
        self,
        op: str,
        expects: Mapping[str, int],
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        self.op = op
        self.expects = expects
        self._post = post
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._answer: dict[str, Any] | None = None
        self._failure: Failure | None = None
        self._callbacks: list[Callback] = []

    @property
    def done(self) -> bool:
        """Tell whether there is an answer, or will never be one."""
        return self._done.is_set()

    def finish(self, answer: dict[str, Any] | None, failure: Failure | None = None) -> None:
        """Set the answer, or how the request failed; what comes later is ignored."""
        with self._lock:
            if self._done.is_set():
                return
            self._answer, self._failure = answer, failure
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for each in callbacks:
            self._post(functools.partial(each, answer))

    def on_done(self, callback: Callback) -> None:
        """Call back with the answer, or with None where the request failed.

        The callback runs on the thread that hands out events, in the order of arrival; where
        the answer is there already, at once.
        """
        with self._lock:
            if not self._done.is_set():
                self._callbacks.append(callback)
                return
        callback(self._answer)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the request is done."""
        return self._done.wait(seconds)

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """Return the answer, or raise what the request ended with (`DriverError`).

        `TimeoutError` when `timeout` seconds are over; the request goes on waiting.
        """
        if not self._done.wait(timeout):
            raise TimeoutError(f"{self.op} is not answered yet")
        if self._failure is not None:
            raise self._failure()
        assert self._answer is not None
        return self._answer
