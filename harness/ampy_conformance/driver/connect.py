"""Connectables: one string that says how a binding is reached."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING

from ampy_conformance.driver.aliases import ALIASES, resolve
from ampy_conformance.driver.endpoint import Process, Socket
from ampy_conformance.driver.errors import DriverNotFound
from ampy_conformance.driver.peer import Driver
from ampy_conformance.driver.tail import LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ampy_conformance.driver.endpoint import Endpoint

KINDS = "exec:COMMAND, py:package.module:Class or tcp:HOST:PORT"
PORTS = range(1, 65536)


def connect(
    connectable: str,
    *,
    time_scale: float = 1.0,
    stderr_tail: int = LINES,
    env: Mapping[str, str] | None = None,
) -> Driver:
    """Start, or attach to, the driver that `connectable` names; raises `DriverNotFound`.

    A driver shipped here is made ready first where it must be (`DriverUnavailable`).
    `time_scale` stretches or shortens all deadlines, `env` adds to the process's environment,
    `stderr_tail` is how many lines of its standard error are kept. The caller ends the driver.
    """
    return Driver(
        _opener(connectable, env), connectable, time_scale=time_scale, stderr_tail=stderr_tail
    )


def _opener(connectable: str, env: Mapping[str, str] | None) -> Callable[[], Endpoint]:
    target = resolve(connectable)
    kind, colon, rest = target.partition(":")
    if not colon or not rest.strip():
        names = ", ".join(ALIASES)
        raise DriverNotFound(f"there is no driver {connectable!r}: use {names}, {KINDS}")
    if kind == "exec":
        return _exec(rest, env)
    if kind == "py":
        if not re.fullmatch(r"\w+(\.\w+)*:\w+", rest):
            raise DriverNotFound(f"{connectable!r} is not of the form py:package.module:Class")
        command = [sys.executable, "-P", "-m", "ampy_conformance.kit", target]
        return lambda: Process(command, env)
    if kind == "tcp":
        return _tcp(connectable, rest)
    raise DriverNotFound(f"{kind!r} is no way to reach a driver: use {KINDS}")


def _exec(rest: str, env: Mapping[str, str] | None) -> Callable[[], Endpoint]:
    try:
        command = shlex.split(rest)
    except ValueError as error:
        raise DriverNotFound(
            f"exec: has no readable command line ({str(error).lower()}): check its quotes"
        ) from error
    if not command:
        raise DriverNotFound("exec: needs a command, as in exec:./my-driver")
    return lambda: Process(command, env)


def _tcp(connectable: str, rest: str) -> Callable[[], Endpoint]:
    host, _, port = rest.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) not in PORTS:
        raise DriverNotFound(f"{connectable!r} is not of the form tcp:HOST:PORT")
    return lambda: Socket(host.strip("[]") or "127.0.0.1", int(port))
