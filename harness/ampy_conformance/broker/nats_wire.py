"""A small raw NATS client: bytes as they are on the wire.

Ours on purpose: the ground truth must not share faults with the client library of the
binding, and header blocks must survive untouched (repeated names, case, odd bytes). One
reader thread a connection; reconnects until closed, and then subscribes anew.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import secrets
import socket
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, BinaryIO

from ampy_conformance.broker import nats_dial
from ampy_conformance.broker.facts import BrokerError, redact
from ampy_conformance.broker.nats_message import Message, text

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

RECONNECT_SECONDS = 0.02
_SUBJECT = re.compile(r"[^\s\x00]+")


class LostError(BrokerError):
    """The connection broke before an answer came: whether it happened is unknown."""


class Connection:
    """One connection to a NATS server; callbacks run in its reader thread."""

    def __init__(
        self, url: str, *, timeout: float = 5.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._servers = [nats_dial.split(each) for each in url.split(",")]
        self._shown = redact(url)
        self._tls = tls
        self.info: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self._socket: socket.socket | None = None
        self._closed = False
        self._subscriptions: dict[int, tuple[str, Callable[[Message], None]]] = {}
        self._next = 0
        self._waiting: dict[str, Future[Message]] = {}
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        stream = self._connect(timeout)
        self._thread = threading.Thread(
            target=self._run, args=(stream,), name="nats-wire", daemon=True
        )
        self._thread.start()
        self.subscribe(f"{self._inbox}.*", self._answered)

    # -- use ----------------------------------------------------------------------------

    def subscribe(self, subject: str, callback: Callable[[Message], None]) -> int:
        """Subscribe and return the subscription's number."""
        with self._lock:
            self._next += 1
            number = self._next
            self._subscriptions[number] = (subject, callback)
            self._send(b"SUB %b %d\r\n" % (subject.encode(), number))
        return number

    def unsubscribe(self, number: int) -> None:
        """End a subscription."""
        with self._lock:
            self._subscriptions.pop(number, None)
            self._send(b"UNSUB %d\r\n" % number)

    def publish(self, subject: str, payload: bytes, *, block: bytes = b"", reply: str = "") -> None:
        """Send one message. BrokerError where the server would end the connection for it."""
        if not _SUBJECT.fullmatch(subject):
            raise BrokerError(f"{subject!r} is not a NATS subject")
        size = len(block) + len(payload)
        if size > self.info.get("max_payload", size):
            raise BrokerError(f"a record of {size} bytes is over the broker's max_payload")
        head = f"{subject} {reply}".rstrip().encode()
        if block:
            line = b"HPUB %b %d %d\r\n%b%b\r\n" % (head, len(block), size, block, payload)
        else:
            line = b"PUB %b %d\r\n%b\r\n" % (head, size, payload)
        with self._lock:
            if not self._send(line):
                raise LostError(f"the connection to {self._shown} is down")

    def ask(self, subject: str, payload: bytes = b"", *, block: bytes = b"") -> Future[Message]:
        """Send a request; the future fails with LostError when the connection breaks."""
        reply, future = self._await()
        try:
            self.publish(subject, payload, block=block, reply=reply)
        except BrokerError:
            self._waiting.pop(reply, None)
            raise
        return future

    def _await(self) -> tuple[str, Future[Message]]:
        """Return a fresh subject of our inbox and the future of what comes on it."""
        subject = f"{self._inbox}.{secrets.token_hex(6)}"
        future: Future[Message] = Future()
        with self._lock:
            self._waiting[subject] = future
        return subject, future

    def result(self, future: Future[Message], timeout: float = 5.0) -> Message:
        """Wait for the answer to a request. LostError; BrokerError when nobody answers."""
        try:
            return future.result(timeout)
        except TimeoutError as error:
            raise BrokerError(f"{self._shown} did not answer within {timeout:g} s") from error

    def request(self, subject: str, payload: bytes = b"", *, timeout: float = 5.0) -> Message:
        """Ask and wait; asks again after a reconnect, so only for what may happen twice."""
        deadline = time.monotonic() + timeout
        while True:
            self.wait_ready(deadline - time.monotonic())
            with contextlib.suppress(LostError):
                return self.result(
                    self.ask(subject, payload), max(0.001, deadline - time.monotonic())
                )

    def collect(self, subject: str, payload: bytes, most: int, timeout: float) -> Iterator[Message]:
        """Send a request and yield its answers: `most`, or up to a status, or for `timeout` s."""
        answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        inbox = f"_INBOX.{secrets.token_hex(12)}"
        number = self.subscribe(inbox, answers.put)
        deadline = time.monotonic() + timeout
        try:
            self.publish(subject, payload, reply=inbox)
            for _ in range(most):
                try:
                    message = answers.get(timeout=max(0.001, deadline - time.monotonic()))
                except queue.Empty:
                    return
                yield message
                if message.status:
                    return
        finally:
            self.unsubscribe(number)

    def wait_ready(self, timeout: float) -> None:
        """Wait until the connection stands. BrokerError when it does not."""
        with self._lock:
            if not self._ready.wait_for(lambda: self._socket or self._closed, max(0.0, timeout)):
                raise BrokerError(f"{self._shown} cannot be reached; is the broker running?")
            if self._closed:
                raise BrokerError("the observer is closed")

    def ping(self, timeout: float = 5.0) -> float:
        """Return the seconds in which the server hands a message of ours back to us."""
        began = time.monotonic()
        while True:
            self.wait_ready(timeout - (time.monotonic() - began))
            sent = time.monotonic()
            subject, future = self._await()
            with contextlib.suppress(LostError):
                self.publish(subject, b"")
                self.result(future, timeout)
                return time.monotonic() - sent

    def close(self) -> None:
        """Leave the server."""
        with self._lock:
            self._closed = True
            self._ready.notify_all()
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)

    # -- the reader thread --------------------------------------------------------------

    def _run(self, stream: BinaryIO) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError, IndexError), stream:
                self._read(stream)
            self._lost()
            while True:
                if self._closed:
                    return
                try:
                    stream = self._connect(1.0)
                    break
                except BrokerError:
                    time.sleep(RECONNECT_SECONDS)

    def _lost(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None
            waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.set_exception(LostError(f"the connection to {self._shown} broke"))

    def _read(self, stream: BinaryIO) -> None:
        while line := stream.readline():
            word, _, rest = line.rstrip(b"\r\n").partition(b" ")
            if word in (b"MSG", b"HMSG"):
                self._message(stream, rest.split(), has_block=word == b"HMSG")
            elif word == b"PING":
                with self._lock:
                    self._send(b"PONG\r\n")
            elif word == b"INFO":
                self.info = json.loads(rest)

    def _message(self, stream: BinaryIO, parts: list[bytes], *, has_block: bool) -> None:
        size = int(parts[-1])
        split = int(parts[-2]) if has_block else 0
        body = stream.read(size + 2)[:size]
        reply = parts[2] if len(parts) == 4 + has_block else b""
        with self._lock:
            found = self._subscriptions.get(int(parts[1]))
        if found is not None:
            message = Message(text(parts[0]), text(reply), body[:split], body[split:])
            found[1](message)

    def _answered(self, message: Message) -> None:
        future = self._waiting.pop(message.subject, None)
        if future is not None:
            future.set_result(message)

    # -- the socket ---------------------------------------------------------------------

    def _send(self, data: bytes) -> bool:
        """Write to the socket, the lock held; False where there is no connection."""
        if self._socket is None:
            return False
        try:
            self._socket.sendall(data)
        except OSError:
            return False  # the reader thread notices, too, and reconnects
        return True

    def _connect(self, timeout: float) -> BinaryIO:
        """Connect to the first server that answers, subscribe anew; return the stream to read."""
        failure: BrokerError | None = None
        for server in self._servers:
            try:
                link = nats_dial.dial(server, timeout, self._tls)
            except BrokerError as error:
                failure = error
                continue
            with self._lock:
                if self._closed:
                    link.stream.close()
                    link.socket.close()
                    raise BrokerError("the observer is closed")
                self.info, self._socket = link.info, link.socket
                for number, (subject, _) in self._subscriptions.items():
                    self._send(b"SUB %b %d\r\n" % (subject.encode(), number))
                self._ready.notify_all()
            return link.stream
        assert failure is not None
        raise failure
