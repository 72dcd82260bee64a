"""The harness's client of the memory broker (protocol: docstring of `memory_server`)."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker.facts import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable

    Frame = dict[str, Any]


class MemoryRefusedError(BrokerError):
    """The memory broker refused a request; `code` as in the protocol."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"the memory broker refuses: {detail} ({code})")
        self.code = code


class MemoryConnection:
    """One connection; requests may be pipelined, events go to `on_event` in the reader thread."""

    def __init__(self, port: int, on_event: Callable[[Frame], None] | None = None) -> None:
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), 5.0)
        except OSError as error:
            raise BrokerError(f"the memory broker does not answer on port {port}") from error
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_event = on_event
        self._lock = threading.Lock()
        self._next = 0
        self._gone = False
        self._waiting: dict[int, Future[Frame]] = {}
        self._thread = threading.Thread(target=self._read, name="memory-wire", daemon=True)
        self._thread.start()

    def ask(self, op: str, **fields: Any) -> Future[Frame]:
        """Send a request and return its future answer."""
        future: Future[Frame] = Future()
        with self._lock:
            if self._gone:
                raise BrokerError("the memory broker is gone")
            self._next += 1
            self._waiting[self._next] = future
            line = json.dumps({"id": self._next, "op": op, **fields}).encode() + b"\n"
            # The reader notices a broken connection and fails the future.
            with contextlib.suppress(OSError):
                self._socket.sendall(line)
        return future

    @staticmethod
    def result(future: Future[Frame], timeout: float = 5.0) -> Frame:
        """Wait for an answer. MemoryRefusedError; BrokerError when none comes."""
        try:
            frame = future.result(timeout)
        except TimeoutError as error:
            raise BrokerError(f"the memory broker did not answer within {timeout:g} s") from error
        if not frame["ok"]:
            raise MemoryRefusedError(frame["code"], frame["detail"])
        return frame

    def request(self, op: str, **fields: Any) -> Frame:
        """Ask and wait for the answer."""
        return self.result(self.ask(op, **fields))

    def close(self) -> None:
        """Leave the server."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._socket.makefile("rb") as stream:
            for line in stream:
                frame = json.loads(line)
                if "event" not in frame:
                    waiting = self._waiting.pop(frame["re"], None)
                    if waiting is not None:
                        waiting.set_result(frame)
                elif self._on_event is not None:
                    self._on_event(frame)
        with self._lock:
            self._gone = True
            self._socket.close()
        for each in self._waiting.values():
            each.set_exception(BrokerError("the memory broker is gone"))
