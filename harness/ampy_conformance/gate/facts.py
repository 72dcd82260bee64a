"""A contract's folder as a flat set of facts, each with the file and line that states it.

`headers.yaml: headers: [{name: run_id, required: true}]` is the fact `headers/run_id/required`.
Lists of texts are sets, lists of mappings go by their name, id or form, other lists by position.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from ampy_conformance.contract.registry import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Place = tuple[str, ...]

# The version is what a change has to declare, and no change itself.
DECLARED = ("contract", "version")
# Judged as schemas, by `payloads`.
ELSEWHERE = ("descriptors.binpb",)
# Files that are one fact each: how records are made for tests, not what records are.
WHOLE = {"golden": "golden", "vectors": "vectors", "properties": "properties", "proto": "proto"}
NAMES = ("name", "id", "form")
GRAMMAR = re.compile(r"^(\w+)(?:\.\d+)?\s*:\s*(.*)$")

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Fact:
    """One stated value; a container (`inner`) has none. `file` is relative, `line` counts from 1."""

    value: Any
    file: str
    line: int
    inner: bool = False


Facts = dict[Place, Fact]


def read(root: Path) -> Facts:
    """Return the facts of a contract's folder; raises `SpecError` where a file does not parse."""
    found: Facts = {}
    for path in sorted(each for each in root.rglob("*") if each.is_file()):
        name = path.relative_to(root).as_posix()
        if name in ELSEWHERE or "__pycache__" in path.parts:
            continue
        try:
            found.update(_file(path, name))
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            first = str(error).replace("\n", " ")
            raise SpecError(f"{name} does not parse: {first}") from error
    found.pop(DECLARED, None)
    return found


def tree(facts: Mapping[Place, Fact], place: Place) -> Any:
    """Return a fact, or what is below a container as nested data (sets as sorted lists)."""
    fact = facts.get(place)
    if fact is None or not fact.inner:
        return None if fact is None else fact.value
    depth = len(place)
    names = [each[depth] for each in facts if len(each) == depth + 1 and each[:depth] == place]
    below = {name: tree(facts, (*place, name)) for name in names}
    if below and all(name == value for name, value in below.items()):
        return sorted(below)
    return below


def _file(path: Path, name: str) -> Iterator[tuple[Place, Fact]]:
    folder, _, rest = name.partition("/")
    if rest and folder in WHOLE:
        key = (WHOLE[folder], rest.rpartition(".")[0] or rest)
        yield key[:1], Fact(None, name, 1, inner=True)
        yield key, Fact(_whole(path), name, 1)
    elif path.suffix == ".yaml":
        yield from _yaml(path, name)
    elif name == "topic.lark":
        yield from _grammar(path.read_text("utf-8"), name)
    else:
        yield ("files",), Fact(None, name, 1, inner=True)
        yield ("files", name), Fact(hashlib.sha256(path.read_bytes()).hexdigest()[:16], name, 1)


def _whole(path: Path) -> str:
    """Return a digest of what a file says, whatever its layout and comments."""
    text = path.read_text("utf-8")
    if path.suffix == ".yaml":
        data = yaml.load(text, Loader=_LOADER)  # noqa: S506 (a safe loader)
        text = json.dumps(data, sort_keys=True, default=str)
    else:
        text = " ".join(re.sub(r"(?m)(--|//).*$", "", text).split())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _grammar(text: str, name: str) -> Iterator[tuple[Place, Fact]]:
    yield ("grammar",), Fact(None, name, 1, inner=True)
    for number, line in enumerate(text.splitlines(), 1):
        found = GRAMMAR.match(line)
        if found:
            yield ("grammar", found[1]), Fact(" ".join(found[2].split()), name, number)


def _yaml(path: Path, name: str) -> Iterator[tuple[Place, Fact]]:
    loader = _LOADER(path.read_text("utf-8"))
    try:
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise SpecError(f"{name} is no mapping")
    folder, _, stem = name.removesuffix(".yaml").rpartition("/")
    root = folder.partition("/")[0] or stem
    if folder:  # clauses/orders.yaml: the group is a part of every id
        data = {key: value for key, value in data.items() if key == root}
    yield (root,), Fact(None, name, 1, inner=True)
    for key, value, child in _items(data, node):
        # headers.yaml: headers: ... is headers/..., not headers/headers/...
        yield from _walk((root,) if key == root else (root, key), value, child, name)


def _items(data: dict[Any, Any], node: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, value and node; what came by a merge key has the mapping's own node."""
    nodes = {key.value: value for key, value in node.value} if isinstance(node.value, list) else {}
    for key, value in data.items():
        yield str(key), value, nodes.get(str(key), node)


def _walk(place: Place, value: Any, node: Any, file: str) -> Iterator[tuple[Place, Fact]]:
    line = node.start_mark.line + 1
    if isinstance(value, dict):
        yield place, Fact(None, file, line, inner=True)
        for key, inner, child in _items(value, node):
            yield from _walk((*place, key), inner, child, file)
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        yield place, Fact(None, file, line, inner=True)
        for each, child in zip(value, _nodes(node, len(value)), strict=True):
            yield (*place, each), Fact(each, file, child.start_mark.line + 1)
    elif isinstance(value, list):
        yield place, Fact(None, file, line, inner=True)
        for number, (each, child) in enumerate(zip(value, _nodes(node, len(value)), strict=True)):
            yield from _walk((*place, _name(each, number)), each, child, file)
    else:
        yield place, Fact(value, file, line)


def _nodes(node: Any, wanted: int) -> list[Any]:
    """Return the nodes of a list's elements; its own for each where it came by a merge key."""
    own = node.value if isinstance(node.value, list) else []
    return own if len(own) == wanted else [node] * wanted


def _name(value: Any, number: int) -> str:
    if not isinstance(value, dict):
        return str(number)
    name = next((str(value[each]) for each in NAMES if each in value), str(number))
    # ticks: the same form of subtopic stands there for several payload types.
    return f"{name} [{', '.join(value['payloads'])}]" if "payloads" in value else name
