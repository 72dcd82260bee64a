"""Recipes: from `spec/golden/<domain>.yaml` to payloads of any entity, time and size.

Texts of a recipe may hold placeholders: the entity's parts, `{tag}` (unique in a run), `{pad}`
(filler up to a wanted size), `{time}`, `{time+60}` and `{time-250ms}` (RFC 3339, UTC), `{later}`
(a minute after), and within a `$repeat` also `{n}`, the number of the item.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.contract import payloads
from ampy_conformance.contract.registry import SpecError, build, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.contract.model import Contract, Domain

# The minute of the contract's own examples (section 14).
EPOCH = dt.datetime(2025, 9, 5, 19, 30, tzinfo=dt.UTC)
SHIFT = re.compile(r"time([+-][0-9]+)(ms)?")


class SampleError(UsageError):
    """A sample was asked for that cannot be made: an unknown domain or case, an odd size."""


@dataclass(frozen=True)
class Case:
    """One case of a recipe: what is filled in for the entity, time and tag.

    `headers` add to the envelope; `size` pads to so many bytes; `pointer` is the URI of a blob
    to which the payload moves; `warns` are the clauses of which this case is worth a warning.
    """

    name: str
    title: str
    payload: str
    subtopic: str
    fields: Mapping[str, Any]
    entity: int = 0
    env: str = "prod"
    headers: Mapping[str, str | None] | None = None
    dedupe_key: str | None = None
    size: int | None = None
    compress: bool | None = None
    pointer: str | None = None


@dataclass(frozen=True)
class Recipe:
    """How records of a domain are made.

    `fresh` gives an entity of its own to every record where the domain is deduplicated by
    entity; `vary` is the part that tells numbered entities apart.
    """

    domain: str
    producer: str
    source: str
    run_id: str
    entities: tuple[Mapping[str, str], ...]
    vary: str
    cases: Mapping[str, Case]
    fresh: Mapping[str, str] | None = None

    def parts(self, entity: int | None, tag: str) -> dict[str, str]:
        """Return the parts of an entity by number; None is the first, or a fresh one."""
        if entity is None and self.fresh is not None:
            return {name: form.format(tag=tag) for name, form in self.fresh.items()}
        turn, number = divmod(entity or 0, len(self.entities))
        base = dict(self.entities[number])
        if turn:
            base[self.vary] += f"-{turn}"
        return base

    def case(self, name: str) -> Case:
        """Return a case by name; raises `SampleError`."""
        if name not in self.cases:
            known = ", ".join(self.cases)
            raise SampleError(f"there is no case {name!r} for {self.domain}; there are {known}")
        return self.cases[name]


@functools.cache
def recipe(contract: Contract, domain: str) -> Recipe:
    """Return the recipe of a domain; raises `SampleError` where there is none."""
    if domain not in contract.domains or not contract.domains[domain].payloads:
        raise SampleError(f"{domain!r} is no domain in which producers publish")
    path = contract.root / "golden" / f"{domain}.yaml"
    data = dict(read_yaml(path))
    try:
        base = {name: data.pop(name) for name in ("payload", "subtopic", "fields")}
        cases: dict[str, Case] = {
            name: build(Case, f"{path.name}: {name}", {**base, **each}, name=name)
            for name, each in data.pop("cases").items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"{path} is no recipe: {error!r}") from error
    found: Recipe = build(Recipe, path.name, data, domain=domain, cases=cases)
    return found


def stamp(number: int, milliseconds: int = 0) -> str:
    """Return the time of the record with this number: one second apart, from a fixed start."""
    at = EPOCH + dt.timedelta(seconds=number, milliseconds=milliseconds)
    whole = at.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at.microsecond // 1000:03d}Z" if at.microsecond else f"{whole}Z"


class _Words(dict[str, Any]):
    """The placeholders of one record; times are worked out when they are asked for."""

    def __init__(self, words: Mapping[str, Any], number: int) -> None:
        super().__init__(words)
        self.number = number

    def __missing__(self, name: str) -> str:
        if name == "time":
            return stamp(self.number)
        if name == "later":
            return stamp(self.number + 60)
        shift = SHIFT.fullmatch(name)
        if shift is None:
            raise SpecError(f"a recipe has the placeholder {{{name}}}, which means nothing")
        return stamp(self.number, int(shift[1]) * (1 if shift[2] else 1000))


def payload(
    contract: Contract,
    case: Case,
    parts: Mapping[str, str],
    *,
    number: int,
    tag: str,
    pad: str = "",
    fields: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the serialized payload of a case; `fields` replace some of the entity's."""
    data = _filled(case.fields, _Words({**parts, "tag": tag, "pad": pad}, number))
    types = payloads.types(contract)
    if fields:
        data = _overridden(types.domain_of[case.payload], case.payload, data, fields)
    try:
        return payloads.serialize(types.build(case.payload, data))
    except payloads.BuildError as error:
        raise SampleError(f"the case {case.name} of the recipe: {error}") from error


def padded(
    contract: Contract, case: Case, parts: Mapping[str, str], *, size: int, filler: str, **more: Any
) -> bytes:
    """Return a payload of exactly `size` serialized bytes; `filler` is cut to what is needed.

    Lengths are varints in front of nested fields, so the size is found by narrowing down. Where
    a varint grows by a byte (near 128, 16 KiB, 2 MiB) a size may be out of reach: `SampleError`.
    """
    shortest = len(payload(contract, case, parts, pad="", **more))
    # What is missing, less what a few longer varints may take.
    low, high = max(0, size - shortest - 32), max(0, size - shortest)
    while low <= high:
        middle = (low + high) // 2
        data = payload(contract, case, parts, pad=filler[:middle], **more)
        if len(data) == size:
            return data
        if len(data) < size:
            low = middle + 1
        else:
            high, shortest = middle - 1, len(data)
    raise SampleError(
        f"no {case.payload} of {size} bytes can be made of this recipe; {shortest} can"
    )


def _filled(value: Any, words: _Words) -> Any:
    if isinstance(value, str):
        return value.format_map(words) if "{" in value else value
    if isinstance(value, dict):
        if "$repeat" in value:
            every = value.get("$every", 1)
            return [
                _filled(value["$item"], _Words({**words, "n": n}, words.number + n * every))
                for n in range(value["$repeat"])
            ]
        return {name: _filled(each, words) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(each, words) for each in value]
    return value


def _overridden(
    domain: Domain, name: str, data: dict[str, Any], fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Merge `fields` into the entity that the data carries, or into each one of a batch."""
    batch = domain.batches.get(name)
    if batch and batch in data and batch not in fields:
        return {**data, batch: [_merged(each, fields) for each in data[batch]]}
    for wrapper in domain.wrappers.get(name, ()):
        if wrapper in data and wrapper not in fields:
            return {**data, wrapper: _merged(data[wrapper], fields)}
    return _merged(data, fields)


def _merged(data: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(data)
    for name, value in fields.items():
        inner = merged.get(name)
        both = isinstance(inner, dict) and isinstance(value, dict)
        merged[name] = _merged(inner, value) if both and inner is not None else value
    return merged
