"""Connectables: one string that says how a binding is reached."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING

from ampy_conformance.driver.channel import Process, Socket
from ampy_conformance.driver.errors import DriverNotFound
from ampy_conformance.driver.peer import Driver

if TYPE_CHECKING:
    from collections.abc import Callable

# Names of the drivers shipped here. Strings only: the judge never imports the judged.
ALIASES = {
    "mem": "py:ampy_conformance.bindings.memory_driver:Driver",
    "nats": "py:ampy_conformance.bindings.nats_driver:Driver",
}
KINDS = "exec:COMMAND, py:package.module:Class, tcp:HOST:PORT"


def connect(connectable: str, *, time_scale: float = 1.0) -> Driver:
    """Start or attach to the driver that `connectable` names; raises `DriverNotFound`.

    A spawned driver is killed with the thread that calls this: use a long-lived one.
    """
    return Driver(_opener(connectable), connectable, time_scale=time_scale)


def _opener(connectable: str) -> Callable[[], Process | Socket]:
    target = ALIASES.get(connectable.removesuffix(":"), connectable)
    kind, colon, rest = target.partition(":")
    if not colon or not rest:
        names = ", ".join(ALIASES)
        raise DriverNotFound(f"there is no driver {connectable!r}: it is one of {names}, or {KINDS}")
    if kind == "exec":
        return _exec(rest)
    if kind == "py":
        if not re.fullmatch(r"[\w.]+:\w+", rest):
            raise DriverNotFound(f"{connectable!r} is not of the form py:package.module:Class")
        command = [sys.executable, "-P", "-m", "ampy_conformance.kit", target]
        return lambda: Process(command)
    if kind == "tcp":
        return _tcp(connectable, rest)
    raise DriverNotFound(f"{kind!r} is no way to reach a driver: use {KINDS}")


def _exec(rest: str) -> Callable[[], Process]:
    try:
        command = shlex.split(rest)
    except ValueError as error:
        raise DriverNotFound(f"exec:{rest} is not a command line ({error})") from error
    if not command:
        raise DriverNotFound("exec: needs a command, as in exec:./my-driver")
    return lambda: Process(command)


def _tcp(connectable: str, rest: str) -> Callable[[], Socket]:
    host, _, port = rest.rpartition(":")
    if not port.isdigit():
        raise DriverNotFound(f"{connectable!r} is not of the form tcp:HOST:PORT")
    return lambda: Socket(host or "127.0.0.1", int(port))
