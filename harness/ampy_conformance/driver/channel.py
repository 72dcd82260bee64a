"""Where a driver's lines come from and go to: a spawned process, or a socket."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import socket
import subprocess
import threading
from typing import IO, TYPE_CHECKING, Protocol

from ampy_conformance import _process
from ampy_conformance.driver.errors import DriverNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

TAIL_LINES = 32
TAIL_WIDTH = 500


class Channel(Protocol):
    """One connection to a driver."""

    reader: IO[bytes]
    can_kill: bool

    def write(self, data: bytes) -> None:
        """Send bytes; may block, raises OSError when the other end is gone."""

    def close(self) -> int | None:
        """End it for certain; returns the exit code of a process."""

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal to the process."""

    def tail(self) -> str:
        """Return the last lines of standard error."""


class Process:
    """A driver that the harness has started."""

    can_kill = True

    def __init__(self, command: Sequence[str]) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        env |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            self.process = _process.spawn(
                command,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError as error:
            raise DriverNotFound(
                f"there is no program {command[0]!r}: give the path of your driver, as in exec:./my-driver"
            ) from error
        except OSError as error:
            raise DriverNotFound(
                f"{command[0]!r} cannot be started ({error.strerror}): is it executable?"
            ) from error
        assert self.process.stdout is not None
        self.reader: IO[bytes] = self.process.stdout
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        stream = self.process.stderr
        assert stream is not None
        with contextlib.suppress(OSError, ValueError):
            while line := stream.readline(64 * 1024):
                text = line[:TAIL_WIDTH].decode("utf-8", "backslashreplace").rstrip()
                self._tail.append(text)

    def write(self, data: bytes) -> None:
        """Send bytes to standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal to the process group."""
        _process.kill_group(self.process, sign)

    def wait(self, seconds: float) -> int | None:
        """Wait for the end of the process; None when it goes on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> int | None:
        """Kill what is left of the process group and reap it."""
        _process.kill_group(self.process)
        code = self.process.wait()
        self._listener.join(1.0)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()
        return code

    def tail(self) -> str:
        """Return the last lines of standard error."""
        self._listener.join(0.2 if self.process.poll() is not None else 0)
        return "\n".join(self._tail)


class Socket:
    """A driver that already runs elsewhere, for example under a debugger."""

    can_kill = False

    def __init__(self, host: str, port: int) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=5)
        except OSError as error:
            raise DriverNotFound(
                f"nobody answers at tcp:{host}:{port} ({error.strerror or error}): start the driver there first"
            ) from error
        self._socket.settimeout(None)
        self.reader: IO[bytes] = self._socket.makefile("rb")

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(data)

    def signal(self, sign: signal.Signals) -> None:
        """A process that is not ours gets no signals."""
        raise NotImplementedError(sign)

    def wait(self, seconds: float) -> int | None:  # noqa: ARG002 (the protocol's signature)
        """There is no process to wait for."""
        return 0

    def close(self) -> int | None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.reader.close()
        self._socket.close()
        return None

    def tail(self) -> str:
        """A socket has no standard error."""
        return ""
