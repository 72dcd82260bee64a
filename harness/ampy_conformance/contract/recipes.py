"""Recipes: from `spec/golden/<domain>.yaml` to payloads of any entity, time and size."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract import payloads
from ampy_conformance.contract.registry import SpecError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.contract.model import Contract

EPOCH = dt.datetime(2025, 9, 5, 19, 30, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Case:
    """One case of a recipe: what is filled in for the entity, time and tag."""

    name: str
    title: str
    payload: str
    subtopic: str
    fields: Mapping[str, Any]
    entity: int
    dedupe_key: str | None
    size: int | None
    pointer: str | None


@dataclass(frozen=True)
class Recipe:
    """How records of a domain are made."""

    domain: str
    producer: str
    source: str
    run_id: str
    entities: tuple[Mapping[str, str], ...]
    fresh: Mapping[str, str] | None
    vary: str
    cases: Mapping[str, Case]

    def parts(self, entity: int | None, tag: str) -> dict[str, str]:
        """Return the parts of an entity by number; None is the first, or a fresh one."""
        if entity is None and self.fresh is not None:
            return {name: form.format(tag=tag) for name, form in self.fresh.items()}
        number = entity or 0
        base = dict(self.entities[number % len(self.entities)])
        turn = number // len(self.entities)
        if turn:
            base[self.vary] += f"-{turn}"
        return base


@functools.cache
def recipe(contract: Contract, domain: str) -> Recipe:
    """Return the recipe of a domain."""
    path = contract.root / "golden" / f"{domain}.yaml"
    data = read_yaml(path)
    try:
        cases = {name: _case(name, each, data) for name, each in data["cases"].items()}
        return Recipe(
            domain=domain,
            producer=data["producer"],
            source=data["source"],
            run_id=data["run_id"],
            entities=tuple(data["entities"]),
            fresh=data.get("fresh"),
            vary=data["vary"],
            cases=cases,
        )
    except (KeyError, TypeError) as error:
        raise SpecError(f"{path} is no recipe: {error!r}") from error


def _case(name: str, data: Mapping[str, Any], base: Mapping[str, Any]) -> Case:
    return Case(
        name=name,
        title=data["title"],
        payload=data.get("payload", base["payload"]),
        subtopic=data.get("subtopic", base["subtopic"]),
        fields=data.get("fields", base["fields"]),
        entity=data.get("entity", 0),
        dedupe_key=data.get("dedupe_key"),
        size=data.get("size"),
        pointer=data.get("pointer"),
    )


def stamp(number: int) -> str:
    """Return the time of the record with this number: one second apart, from a fixed start."""
    return (EPOCH + dt.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def payload(
    contract: Contract, case: Case, parts: Mapping[str, str], *, number: int, tag: str, pad: str = ""
) -> bytes:
    """Return the serialized payload of a case."""
    words = {**parts, "tag": tag, "pad": pad, "time": stamp(number), "later": stamp(number + 60)}
    message = payloads.types(contract).build(case.payload, _filled(case.fields, words))
    return payloads.serialize(message)


def padded(
    contract: Contract,
    case: Case,
    parts: Mapping[str, str],
    *,
    number: int,
    tag: str,
    size: int,
    filler: str,
) -> bytes:
    """Return a payload of exactly `size` serialized bytes; `filler` is cut to what is needed.

    Lengths are varints in front of nested fields, so the size is found by narrowing down.
    """
    low, high = 0, size
    data = b""
    while low <= high:
        middle = (low + high) // 2
        data = payload(contract, case, parts, number=number, tag=tag, pad=filler[:middle])
        if len(data) == size:
            return data
        low, high = (middle + 1, high) if len(data) < size else (low, middle - 1)
    # A varint grew by a byte just here: one character of the tag makes up for it.
    return payload(contract, case, parts, number=number, tag=tag + "+", pad=filler[: max(high, 0)])


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, words) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(each, words) for each in value]
    return value.format_map(words) if isinstance(value, str) else value
