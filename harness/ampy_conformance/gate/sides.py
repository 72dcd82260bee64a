"""The two sides of a comparison: a folder, a git revision, a wheel, or a published version."""

from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pb2, timestamp_pb2
from google.protobuf.message import DecodeError

from ampy_conformance import contract as contracts
from ampy_conformance._cache import once
from ampy_conformance._errors import HarnessError, UsageError
from ampy_conformance._layout import cache
from ampy_conformance.contract.registry import SpecError
from ampy_conformance.gate import payloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.contract import Contract

PACKAGE = "ampy-bus-conformance"
PAYLOADS = "ampy-proto"
DATA = "ampy_conformance/_data/"
NAMED = re.compile(
    r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)?==(?P<version>[A-Za-z0-9][A-Za-z0-9.+!_-]*)$"
)
GIT_SECONDS = 60
PIP_SECONDS = 180
LARGEST = 200 * 1024 * 1024  # of what is unpacked


@dataclass(frozen=True)
class Side:
    """One side: its name as given, its contract (None: payload schemas alone), its descriptors."""

    name: str
    contract: Contract | None
    descriptors: bytes


def resolve(name: str, scratch: Path, *, repo: Path, within: str = "spec") -> Side:
    """Return the side that a user means; files of it that are unpacked go below `scratch`.

    In this order: `git:REVISION`, an existing folder or wheel, `==VERSION` or `NAME==VERSION`
    of a package index, a git revision. `within` is where a revision keeps the contract.
    Raises `UsageError` (there is no such thing), `SpecError` (it does not parse) or
    `HarnessError` (git, pip or the network failed), each in one sentence.
    """
    path = Path(name)
    if not name.strip():
        raise UsageError("an empty text names no contract; see ampy-conform spec diff --help")
    if name.startswith("git:"):
        return _revision(name.removeprefix("git:"), scratch, repo, within)
    if path.is_dir():
        root = path if (path / "contract.yaml").is_file() else path / "spec"
        return _folder(name, root if root.is_dir() else path)
    if path.is_file():
        return _wheel(name, path, scratch)
    published = NAMED.match(name)
    if published:
        package = (published["name"] or PACKAGE).lower().replace("_", "-")
        return _published(name, package, published["version"], scratch)
    return _revision(name, scratch, repo, within)


def _folder(name: str, root: Path) -> Side:
    try:
        contract = contracts.load(root)
        return Side(name, contract, (root / payloads.FILE).read_bytes())
    except OSError:
        raise SpecError(
            f"{name}: the contract has no descriptors.binpb; run 'ampy-conform spec build'"
        ) from None
    except SpecError as error:
        raise SpecError(f"{name}: {_relative(str(error), root)}") from error


def _relative(text: str, root: Path) -> str:
    """Leave out where a side was unpacked to: that folder is gone when the message is read."""
    return text.replace(f"{root.resolve()}/", "").replace(str(root.resolve()), "it")


# -- git ----------------------------------------------------------------------------------


def _git(repo: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(repo), *arguments],
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise HarnessError("git is not installed; name folders instead") from None
    except subprocess.TimeoutExpired:
        raise HarnessError(f"git did not answer within {GIT_SECONDS} s") from None


def _revision(name: str, scratch: Path, repo: Path, within: str) -> Side:
    if _git(repo, "rev-parse", "--git-dir").returncode:
        raise UsageError(
            f"{name!r} is no folder, wheel or version, and {repo} is not in a git repository; "
            "name one with --repo"
        )
    found = _git(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        raise UsageError(
            f"there is no git revision {name!r} (nor such a folder); "
            "in a shallow clone, fetch it first: git fetch origin REVISION"
        )
    commit = found.stdout.decode().strip()
    top = Path(_git(repo, "rev-parse", "--show-toplevel").stdout.decode().strip() or repo)
    archive = _git(top, "archive", "--format=tar", commit, "--", within)
    if archive.returncode:
        raise UsageError(f"the revision {name!r} has no folder {within!r}; name it with --within")
    target = Path(tempfile.mkdtemp(dir=scratch))
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as whole:
        whole.extractall(target, filter="data")
    return _folder(f"git:{name.removeprefix('git:')}", target / within)


# -- wheels -------------------------------------------------------------------------------


def _published(name: str, package: str, version: str, scratch: Path) -> Side:
    if package not in (PACKAGE, PAYLOADS):
        raise UsageError(
            f"{package} has no contract; name {PACKAGE}=={version} or {PAYLOADS}=={version}"
        )
    folder = once(
        cache("wheels") / f"{package}-{version}", lambda target: _download(package, version, target)
    )
    return _wheel(name, next(folder.glob("*.whl")), scratch)


def _download(package: str, version: str, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(target)]
    try:
        done = subprocess.run(
            [*command, f"{package}=={version}"],
            capture_output=True,
            timeout=PIP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HarnessError(
            f"pip did not fetch {package}=={version} within {PIP_SECONDS} s"
        ) from None
    if list(target.glob("*.whl")):
        return
    # What pip says may hold the address and credentials of an index: it is not repeated.
    says = done.stderr.decode(errors="replace")
    if "No module named pip" in says:
        raise HarnessError(
            "there is no pip beside this Python to fetch versions: python -m ensurepip"
        )
    if "from versions: none" not in says and "No matching distribution" in says:
        raise UsageError(
            f"there is no version {version} of {package} (pip index versions {package})"
        )
    if "Invalid requirement" in says or "InvalidVersion" in says:
        raise UsageError(f"{version} is no version of a package")
    raise HarnessError(
        f"pip could not fetch {package}=={version}: it is not published there, or its index does "
        "not answer; try 'pip download' by hand, and name the wheel"
    )


def _wheel(name: str, path: Path, scratch: Path) -> Side:
    """Return the side of a wheel, of which nothing is run: its modules are read as text."""
    try:
        with zipfile.ZipFile(path) as wheel:
            if sum(each.file_size for each in wheel.infolist()) > LARGEST:
                raise UsageError(f"{name} is too large for a wheel of a contract")
            members = [each for each in wheel.namelist() if each.startswith(f"{DATA}spec/")]
            if members:
                target = Path(tempfile.mkdtemp(dir=scratch))
                wheel.extractall(target, members)  # noqa: S202 (zipfile keeps members below the target)
                return _folder(name, target / DATA / "spec")
            return Side(name, None, _descriptors(name, wheel))
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise UsageError(f"{name} is no wheel, and no folder: {type(error).__name__}") from error


def _descriptors(name: str, wheel: zipfile.ZipFile) -> bytes:
    """Return the descriptor set of the generated modules in a wheel."""
    stamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(stamp)
    files = {stamp.name: stamp}
    for each in sorted(wheel.namelist()):
        if each.endswith("_pb2.py"):
            for data in _serialized(wheel.read(each)):
                try:
                    file = descriptor_pb2.FileDescriptorProto.FromString(data)
                except DecodeError:
                    raise SpecError(f"{name}: {each} holds no descriptor") from None
                files[file.name] = file
    if len(files) == 1:
        raise SpecError(f"{name} holds neither a contract nor generated payload types")
    return payloads.image(files)


def _serialized(source: bytes) -> Iterator[bytes]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "AddSerializedFile"
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, bytes)
        ):
            yield node.args[0].value


def complete(side: Side, base: Contract, scratch: Path) -> Side:
    """Return a side of payload schemas alone as the contract `base` with these schemas.

    The project's own messages, which no payload package has, stay as `base` has them.
    """
    if side.contract is not None:
        return side
    own = {each.package for each in base.domains.values() if each.own_major and each.package}
    files = payloads.read(side.descriptors, side.name)
    kept = payloads.read((base.root / payloads.FILE).read_bytes(), "the contract")
    for name, each in kept.items():
        if each.package.rpartition(".v")[0] in own:
            files.setdefault(name, each)
    target = Path(tempfile.mkdtemp(dir=scratch)) / "spec"
    shutil.copytree(base.root, target)
    (target / payloads.FILE).write_bytes(payloads.image(files))
    return _folder(side.name, target)
