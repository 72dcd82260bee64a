"""The other end of a driver's lines: a process that we start, or a socket to attach to.

An endpoint only owns descriptors (non-blocking) and the process; `pump` moves the bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import termios
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ampy_conformance import _process
from ampy_conformance.driver import spawner
from ampy_conformance.driver.errors import CapabilityMissing, DriverNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ATTACH_SECONDS = 5.0


class Endpoint(Protocol):
    """What the pump needs; `errors` is the descriptor of standard error, if there is one."""

    can_kill: bool
    pid: int | None
    reads: int
    writes: int
    errors: int | None

    def exited(self) -> bool:
        """Tell whether the process has ended; it is not reaped by this."""

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal to the process group."""

    def close_input(self) -> None:
        """Tell the driver that nothing more will come."""

    def close(self) -> int | None:
        """Kill what is left, reap it, close all; returns the exit code of a process."""


class Process:
    """A driver that the harness has started, in a process group of its own."""

    can_kill = True

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        try:
            process = spawner.spawn(command, _environment(env))
        except FileNotFoundError as error:
            raise DriverNotFound(
                f"there is no program {command[0]!r} (or what its first line names is missing): "
                "give the path of your driver, as in exec:./my-driver"
            ) from error
        except PermissionError as error:
            if Path(command[0]).is_dir():
                raise DriverNotFound(
                    f"{command[0]!r} is a folder: name the program in it, "
                    f"as in exec:{command[0].rstrip('/')}/driver"
                ) from error
            raise DriverNotFound(
                f"{command[0]!r} is not executable: chmod +x it, or name its interpreter, "
                "as in exec:python my-driver.py"
            ) from error
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DriverNotFound(
                f"{command[0]!r} cannot be started ({why}): name its interpreter, "
                "as in exec:python my-driver.py"
            ) from error
        self._process = process
        self._reaping = threading.Lock()  # a reaped process's id may belong to another
        self.pid: int | None = process.pid
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._pipes = (process.stdin, process.stdout, process.stderr)
        self.writes, self.reads, errors = (each.fileno() for each in self._pipes)
        self.errors: int | None = errors
        for each in (self.writes, self.reads, errors):
            os.set_blocking(each, False)

    def exited(self) -> bool:
        """Tell whether the process has ended, leaving it as a zombie that keeps its id ours."""
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._process.pid, flags) is not None
        except ChildProcessError:
            return True

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal to the process group, unless it has been reaped."""
        with self._reaping:
            if self._process.returncode is None:
                _process.kill_group(self._process, sign)

    def close_input(self) -> None:
        """Close the driver's standard input."""
        with contextlib.suppress(OSError):
            self._pipes[0].close()

    def close(self) -> int | None:
        """Kill what is left of the process group, reap it, close the pipes."""
        self.signal(signal.SIGKILL)
        with self._reaping:
            code = self._process.wait()
        for each in self._pipes:
            with contextlib.suppress(OSError):
                each.close()
        return code


class Socket:
    """A driver that already runs elsewhere, for example under a debugger."""

    can_kill = False
    pid: int | None = None
    errors: int | None = None

    def __init__(self, host: str, port: int) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=ATTACH_SECONDS)
        except OSError as error:
            raise DriverNotFound(
                f"nobody answers at tcp:{host}:{port} ({error.strerror or error}): "
                "start the driver there first"
            ) from error
        self._socket.settimeout(0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reads = self._socket.fileno()
        self.writes = os.dup(self.reads)  # a descriptor of its own for the selector

    def exited(self) -> bool:
        """A process that is not ours ends by closing the connection."""
        return False

    def signal(self, sign: signal.Signals) -> None:
        """A process that is not ours gets no signals."""
        raise CapabilityMissing(
            f"a driver attached over tcp: gets no {sign.name}; let the suite start it with exec:"
        )

    def close_input(self) -> None:
        """Tell the other end that nothing more will come."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> int | None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        os.close(self.writes)
        self._socket.close()
        return None


def available(descriptor: int) -> int:
    """Return how many bytes can be read at once."""
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
    return int(struct.unpack("i", answer)[0])


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Return our environment without pytest's variables, which belong to the suite."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return env | dict(extra or {})
