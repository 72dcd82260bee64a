"""Programs that parse a message and write it again, one a language.

Their interface is the same in every language: `PROG DESCRIPTOR_SET TYPE <in >out`; exit code 0,
or 1 where the input is no message of the type; anything else is trouble. The sources stand in
`interop/roundtrip/`, and are built once into the cache.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import google.protobuf

from ampy_conformance import _cache
from ampy_conformance._errors import HarnessError
from ampy_conformance._layout import cache, room
from ampy_conformance.contract import payloads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ampy_conformance.contract.model import Contract

BUILD_SECONDS = 300.0
RUN_SECONDS = 20.0
REFUSED = 1
CANNOT_TELL = 2


class NotThere(HarnessError):
    """A language's toolchain is missing, or cannot build; the sentence tells the remedy."""


class ProgramTrouble(HarnessError):
    """A program did not do its part; no verdict on what it would have said."""


@dataclass(frozen=True)
class Output:
    """What a program made of an input: bytes, None where it refused it, or how it broke down."""

    data: bytes | None
    broke: str | None = None


class Program(Protocol):
    """One language's round trip."""

    @property
    def name(self) -> str:
        """How the language is called."""

    @property
    def what(self) -> str:
        """Which library, as far as it is known."""

    def run(self, schema: str, data: bytes) -> Output:
        """Parse and write again; raises `ProgramTrouble`."""


@dataclass(frozen=True)
class Executable:
    """A program of its own."""

    name: str
    path: Path
    descriptors: Path
    what: str = "a program of the user"

    def run(self, schema: str, data: bytes) -> Output:
        """Start the program once."""
        line = [str(self.path), str(self.descriptors), schema]
        try:
            done = subprocess.run(
                line, input=data, capture_output=True, timeout=RUN_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ProgramTrouble(f"{self.name}: no output within {RUN_SECONDS} s") from error
        except OSError as error:
            raise ProgramTrouble(f"{self.name} cannot be started: {error}") from error
        if done.returncode == CANNOT_TELL:
            raise ProgramTrouble(f"{self.name} does not work: {_last_line(done.stderr)}")
        if done.returncode == REFUSED:
            return Output(None)
        if done.returncode:
            return Output(None, f"ended with {done.returncode}")
        return Output(done.stdout)


@dataclass(frozen=True)
class InProcess:
    """Python: the protobuf library that the suite itself uses, without starting a process."""

    contract: Contract
    name: str = "python"

    @property
    def what(self) -> str:
        """Which library."""
        return f"protobuf {google.protobuf.__version__}, Python {platform.python_version()}"

    def run(self, schema: str, data: bytes) -> Output:
        """Parse and write again."""
        types = payloads.types(self.contract)
        try:
            return Output(payloads.serialize(types.decode(schema, data)))
        except payloads.DecodeError:
            return Output(None)


def program(language: str, contract: Contract, say: Callable[[str], None]) -> Program:
    """Return a language's program, built where that is still to be done.

    Raises `NotThere`. `say` is told of what takes a while.
    """
    return LANGUAGES[language](contract, say)


def _go(contract: Contract, say: Callable[[str], None]) -> Program:
    compiler = shutil.which("go")
    if compiler is None:
        raise NotThere("there is no Go: install Go 1.23 or newer (https://go.dev/dl)")
    sources = room("interop") / "roundtrip" / "go"

    def make(folder: Path) -> None:
        say("building the round trip in Go (once; half a minute) ...")
        _build(
            [compiler, "build", "-trimpath", "-o", str(folder / "roundtrip"), "."],
            "Go cannot build the round trip",
            cwd=sources,
            env={"GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"},
        )

    library = next(
        each.split()[-1]
        for each in (sources / "go.mod").read_text("utf-8").splitlines()
        if "google.golang.org/protobuf" in each
    )
    return _built("go", f"dynamicpb {library}", sources, make, contract)


def _cpp(contract: Contract, say: Callable[[str], None]) -> Program:
    remedy = "install g++, pkg-config and libprotobuf's headers (apt-get install g++ pkg-config libprotobuf-dev)"
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        raise NotThere(f"there is no C++ compiler: {remedy}")
    version, flags = _pkg_config("--modversion"), _pkg_config("--cflags", "--libs")
    if not version:
        raise NotThere(f"there is no libprotobuf to build against: {remedy}")
    sources = room("interop") / "roundtrip" / "cpp"

    def make(folder: Path) -> None:
        say("building the round trip in C++ (once; some seconds) ...")
        program, source = str(folder / "roundtrip"), str(sources / "roundtrip.cpp")
        _build(
            [compiler, "-std=c++17", "-O1", "-o", program, source, *flags],
            "C++ cannot build the round trip",
        )

    return _built("cpp", f"libprotobuf {version[0]}", sources, make, contract, version[0])


def _python(contract: Contract, say: Callable[[str], None]) -> Program:  # noqa: ARG001 (one signature)
    return InProcess(contract)


LANGUAGES: dict[str, Callable[[Contract, Callable[[str], None]], Program]] = {
    "go": _go,
    "cpp": _cpp,
    "python": _python,
}


def _built(
    name: str,
    what: str,
    sources: Path,
    make: Callable[[Path], None],
    contract: Contract,
    *also: str,
) -> Program:
    target = cache(f"roundtrip-{name}-{_cache.fingerprint([sources], *also)}")
    try:
        folder = _cache.once(target, make)
    except OSError as error:
        raise NotThere(f"the round trip in {name} cannot be built: {error}") from error
    return Executable(name, folder / "roundtrip", contract.root / payloads.DESCRIPTORS, what)


def _pkg_config(*wanted: str) -> list[str]:
    """Return what pkg-config says of protobuf, nothing where it knows nothing of it."""
    try:
        done = subprocess.run(
            ["pkg-config", *wanted, "protobuf"],
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def _build(
    line: list[str], fails: str, *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> None:
    try:
        done = subprocess.run(
            line,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotThere(f"{fails}: {error}") from error
    if done.returncode:
        raise NotThere(f"{fails}: {_last_line(done.stderr)}")


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"
