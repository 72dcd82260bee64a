"""pytest in a process of its own: nothing of the user's surroundings reaches it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ampy_conformance import _process
from ampy_conformance._layout import room

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What to certify, and how; mirrors the plugin's options."""

    driver: str
    report: Path
    seed: int
    broker_url: str | None = None
    dedicated_broker: bool = False
    spec: Path | None = None
    known_failures: Path | None = None
    strict: bool = False
    time_scale: float = 1.0
    clauses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    case: str | None = None
    history: Path | None = None
    faults: tuple[str, ...] = ()
    status: Path | None = None
    provision: str = "process"
    excerpts: bool = False
    load: str = "full"
    extra: tuple[str, ...] = field(default=())


def command(request: Request) -> list[str]:
    """Return the command line that runs the suite."""
    suite = room("conformance")
    line = [sys.executable, "-P", "-B", "-m", "pytest", str(suite)]
    line += ["-c", str(suite / "pytest.ini"), "--rootdir", str(suite)]
    line += ["-p", "ampy_conformance.plugin", "-p", "no:cacheprovider", "-q"]
    line += ["--driver", request.driver, "--report", str(request.report)]
    line += ["--seed", str(request.seed), "--time-scale", str(request.time_scale)]
    options = {
        "--broker-url": request.broker_url,
        "--spec": request.spec,
        "--history": request.history,
        "--known-failures": request.known_failures,
        "--status": request.status,
        "--provision": request.provision,
        "--load": request.load,
        "-k": request.case,
    }
    for name, value in options.items():
        if value is not None:
            line += [name, str(value)]
    for name, values in (
        ("--clause", request.clauses),
        ("--group", request.groups),
        ("--profile", request.profiles),
        ("--faults", request.faults),
    ):
        for value in values:
            line += [name, value]
    if request.dedicated_broker:
        line.append("--dedicated-broker")
    if request.excerpts:
        line.append("--payload-excerpts")
    if request.strict:
        line.append("--strict-should")
    return [*line, *request.extra]


def environment() -> dict[str, str]:
    """Return our environment without what would change pytest's behaviour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return kept | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def start(request: Request, log: Path) -> subprocess.Popen[bytes]:
    """Start the suite; its output goes to `log`, its results to the report."""
    with log.open("wb") as sink:
        return _process.spawn(
            command(request),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
