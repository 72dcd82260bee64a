"""Payload schemas: what was added is read from the descriptors, what is broken says buf.

A schema is a serialized FileDescriptorSet, which is also what buf takes as an image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError

from ampy_conformance._errors import HarnessError, UsageError
from ampy_conformance.contract.registry import SpecError
from ampy_conformance.gate.changes import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ampy_conformance.contract.model import Contract, Domain

FILE = "descriptors.binpb"
REMEDY = (
    "pip install 'ampy-bus-conformance[gate]', or npm install -g @bufbuild/buf, or name the program "
    "with --buf or AMPY_CONFORM_BUF"
)
FOUND = 100  # buf's exit code where it has something to say
SECONDS = 60
PACKAGE = re.compile(r"^(?P<family>.+)\.v(?P<major>\d+)$")

Files = dict[str, descriptor_pb2.FileDescriptorProto]


def read(data: bytes, what: str) -> Files:
    """Return the files of a descriptor set by name; raises `SpecError`."""
    try:
        found = descriptor_pb2.FileDescriptorSet.FromString(data).file
    except (DecodeError, ValueError):
        raise SpecError(
            f"{what} is no descriptor set; make it with 'ampy-conform spec build'"
        ) from None
    return {each.name: each for each in found}


def image(files: Files) -> bytes:
    """Return files as a descriptor set, each behind what it imports."""
    placed: Files = {}

    def place(name: str) -> None:
        if name in files and name not in placed:
            for each in files[name].dependency:
                place(each)
            placed[name] = files[name]

    for name in sorted(files):
        place(name)
    return descriptor_pb2.FileDescriptorSet(file=placed.values()).SerializeToString(
        deterministic=True
    )


def program(given: Path | None) -> str | None:
    """Return the program buf; None where there is none. Raises `UsageError` for a wrong path."""
    name = str(given) if given else os.environ.get("AMPY_CONFORM_BUF")
    if name:
        found = shutil.which(name)
        if found is None:
            raise UsageError(f"{name} is no program; buf comes so: {REMEDY}")
        return str(Path(found).resolve())  # it runs in another folder
    # Beside this Python first: an environment need not be activated.
    return shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")


def compare(old: Files, new: Files, rules: Mapping[str, Any], buf: str | None) -> list[Change]:
    """Return the changes of payload schemas; `rules` are the part `breaking` of buf's configuration.

    Without buf, where anything is gone or altered, one change of the kind unjudged stands for
    all of that. Raises `HarnessError` where buf fails.
    """
    before, after = dict(_facts(old)), dict(_facts(new))
    changes = list(_added(before, after))
    altered = sorted(name for name in before if before[name] != after.get(name))
    if altered and buf is None:
        shown = ", ".join("/".join(each) for each in altered[:3])
        more = f" and {len(altered) - 3} more" if len(altered) > 3 else ""
        note = f"{shown}{more} altered or gone; buf is not there: {REMEDY}"
        return [*changes, _change(("payloads",), "unjudged", note)]
    said = list(_breaking(old, new, rules, buf)) if altered and buf else []
    if not said and not changes and _content(old) != _content(new):
        return [_change(("payloads",), "changed", "options or layout of the files")]
    return [*changes, *said]


def packages(place: Sequence[str], old: Files) -> set[str]:
    """Return the packages that a change at a place concerns, those that build on it included."""
    if len(place) < 2:
        return {each.package for each in old.values()}
    hit = {name for name, each in old.items() if each.package == place[1]}
    while True:
        users = {name for name, each in old.items() if hit & set(each.dependency)} - hit
        if not users:
            return {old[name].package for name in hit} | {place[1]}
        hit |= users


def domains(contract: Contract, touched: Iterable[str]) -> list[Domain]:
    """Return the domains whose payloads are in one of these packages."""
    families = {found["family"] for each in touched if (found := PACKAGE.match(each))}
    return [each for each in contract.domains.values() if each.package in families]


# -- what was added -----------------------------------------------------------------------


def _facts(files: Files) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every message, field, enum and value as `(payloads, package, type, name)`."""
    for file in files.values():
        yield ("payloads", file.package), None
        for message in file.message_type:
            yield from _message(("payloads", file.package, message.name), message)
        for enum in file.enum_type:
            yield from _enum(("payloads", file.package, enum.name), enum)


def _message(
    place: tuple[str, ...], message: descriptor_pb2.DescriptorProto
) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield place, _reserved(message)
    for each in message.field:
        oneof = message.oneof_decl[each.oneof_index].name if each.HasField("oneof_index") else None
        what = (each.number, each.type, each.type_name, each.label, each.json_name, oneof)
        yield (*place, each.name), what
    for inner in message.nested_type:
        yield from _message((*place[:-1], f"{place[-1]}.{inner.name}"), inner)
    for enum in message.enum_type:
        yield from _enum((*place[:-1], f"{place[-1]}.{enum.name}"), enum)


def _enum(
    place: tuple[str, ...], enum: descriptor_pb2.EnumDescriptorProto
) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield place, _reserved(enum)
    for each in enum.value:
        yield (*place, each.name), each.number


def _reserved(
    of: descriptor_pb2.DescriptorProto | descriptor_pb2.EnumDescriptorProto,
) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Return what may not be used again: to take it back breaks those who have old bytes."""
    ranges = sorted((each.start, each.end) for each in of.reserved_range)
    return tuple(sorted(of.reserved_name)), tuple(ranges)


def _added(
    before: Mapping[tuple[str, ...], Any], after: Mapping[tuple[str, ...], Any]
) -> Iterator[Change]:
    for place in after:
        if place not in before and (place[:-1] in before or len(place) == 2):
            yield _change(place, "added", None)


def _content(files: Files) -> list[bytes]:
    return sorted(each.SerializeToString(deterministic=True) for each in files.values())


def _change(place: tuple[str, ...], kind: str, note: str | None) -> Change:
    return Change(place, kind, None, None, FILE, 1, note=note)


# -- what is broken -----------------------------------------------------------------------


def _breaking(old: Files, new: Files, rules: Mapping[str, Any], buf: str) -> Iterator[Change]:
    config = {"version": "v2", "breaking": dict(rules)}
    with tempfile.TemporaryDirectory(prefix="ampy-conform-") as scratch:
        for name, files in (("old", old), ("new", new)):
            (Path(scratch) / f"{name}.binpb").write_bytes(image(files))
        command = [buf, "breaking", "new.binpb", "--against", "old.binpb"]
        command += ["--error-format", "json", "--config", json.dumps(config)]
        try:
            done = subprocess.run(
                command, cwd=scratch, capture_output=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HarnessError(f"buf did not run: {type(error).__name__}; {REMEDY}") from error
    if done.returncode not in (0, FOUND):
        says = done.stderr.decode(errors="replace").strip().replace("\n", " ")[:300]
        raise HarnessError(f"buf failed (exit {done.returncode}): {says}")
    for line in done.stdout.decode(errors="replace").splitlines():
        try:
            row = json.loads(line)
            yield _broken(row, old)
        except (ValueError, KeyError, TypeError):
            raise HarnessError(
                "buf answered what is no finding; is it of another version?"
            ) from None


def _broken(row: Mapping[str, Any], old: Files) -> Change:
    file = old.get(row.get("path", ""))
    says = f"{row['message']} ({row['type']})"
    if file is None:
        named = re.search(r'package "([^"]+)"', says)
        return _change(("payloads", *([named[1]] if named else [])), "broken", says)
    kinds = {each.name for each in file.message_type} | {each.name for each in file.enum_type}
    named = next(
        (each for each in re.findall(r'"([^"]+)"', says) if each.partition(".")[0] in kinds), None
    )
    return _change(("payloads", file.package, *([named] if named else [])), "broken", says)
