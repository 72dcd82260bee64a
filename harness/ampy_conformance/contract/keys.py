"""Partition keys: made from a record's parts by the domain's template."""

from __future__ import annotations

import functools
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract import payloads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.message import Message

    from ampy_conformance.contract.model import Contract, Domain
    from ampy_conformance.contract.topics import Topic

PLACE = re.compile(r"\{(\w+)\}")
SUBTOPIC = "@subtopic"  # the path of a part that stands in the topic


@dataclass(frozen=True)
class KeyForms:
    """The literal that the contract asks for, and all that are accepted (the canonical first)."""

    canonical: str
    accepted: tuple[str, ...]


class MissingPart(ValueError):
    """A part that the key needs is not there, or holds the delimiter (A-28)."""


def fill(form: str, parts: Mapping[str, str]) -> str:
    """Fill a template with its parts."""
    try:
        return form.format_map(parts)
    except KeyError as error:
        raise MissingPart(f"the key part {error.args[0]!r} is missing") from error


@functools.cache
def shape(form: str) -> re.Pattern[str]:
    """Return what a key of this template looks like, whatever its parts (A-28)."""
    pieces = PLACE.split(form)
    parts = r"[^|\s]+" if "|" in form else r"\S+"
    return re.compile(
        "".join(re.escape(each) if n % 2 == 0 else parts for n, each in enumerate(pieces))
    )


def from_parts(contract: Contract, domain: str, parts: Mapping[str, str]) -> str:
    """Return the canonical partition key of a domain for these parts (section 7)."""
    form = contract.domains[domain].key.form
    try:
        return _filled(domain, form, _taker(form)(parts))
    except KeyError as error:
        raise MissingPart(f"the key of {domain} needs the part {error.args[0]!r}") from error


@functools.lru_cache(maxsize=65536)
def _filled(domain: str, form: str, values: str | tuple[str, ...]) -> str:
    """Fill a form; entities come again and again, and errors are not kept."""
    names = _places(form)
    parts = dict(zip(names, (values,) if isinstance(values, str) else values, strict=True))
    for name, value in parts.items():
        if not value:
            raise MissingPart(f"the key of {domain} needs the part {name!r}")
        if "|" in value and "|" in form:
            raise MissingPart(f"the key part {name!r} holds the delimiter '|'")
    return fill(form, parts)


@functools.cache
def _taker(form: str) -> Callable[[Mapping[str, str]], Any]:
    """Return what takes a form's parts out of a mapping."""
    names = _places(form)
    return operator.itemgetter(*names) if names else lambda _: ()


@functools.cache
def _places(form: str) -> tuple[str, ...]:
    return tuple(PLACE.findall(form))


def parts_of(
    domain: Domain, topic: Topic | None, entities: Sequence[Message]
) -> list[dict[str, str]]:
    """Return the key parts of entities (`payloads.elements`); a part with several values gives several."""
    read = _reader(tuple(domain.parts.items()))
    return [row for each in entities for row in read(each, topic)]


@functools.cache
def _reader(
    parts: tuple[tuple[str, str], ...],
) -> Callable[[Any, Topic | None], list[dict[str, str]]]:
    """Return what reads parts, each a name and a path, out of an entity."""

    def rows_of(entity: Any, topic: Topic | None) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = [{}]
        for part, path in parts:
            if path == SUBTOPIC and topic:
                values = [".".join(topic.subtopic)]
            else:
                values = _values(entity, path)
            rows = [{**row, part: value} for row in rows for value in values]
        return rows

    names, paths = zip(*parts, strict=True) if parts else ((), ())
    if len(paths) < 2 or any(path == SUBTOPIC or "[]" in path for path in paths):
        return rows_of
    walk = operator.attrgetter(*paths)  # all at once, and without a list for each

    def row_of(entity: Any, topic: Topic | None) -> list[dict[str, str]]:
        try:
            values = walk(entity)
        except AttributeError:
            return rows_of(entity, topic)
        return [dict(zip(names, map(_text, values), strict=True))]

    return row_of


def expected(contract: Contract, topic: Topic, name: str, message: Message) -> KeyForms | None:
    """Return the forms of the key that a record must have; None where the contract names none.

    Where a payload's entities have different keys the forms of the first are returned.
    """
    domain = contract.domains[topic.domain]
    if domain.key.unspecified:
        return None
    rows = parts_of(domain, topic, payloads.elements(domain, name, message))
    if not rows:
        return None
    forms = (domain.key.form, *domain.key.tolerated)
    # Several values of one part (fundamentals' period_end, A-18) are all right.
    first = [row for row in rows if _same_entity(row, rows[0])]
    accepted = tuple(dict.fromkeys(fill(form, row) for form in forms for row in first))
    return KeyForms(accepted[0], accepted)


def _same_entity(row: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return all(row[name] == other[name] for name in ("symbol", "mic") if name in row)


def _values(message: Message, path: str) -> list[str]:
    return [_text(each) for each in _getter(path)(message)]


@functools.cache
def _getter(path: str) -> Callable[[Any], list[Any]]:
    """Return a function that walks a dotted path; `name[]` fans out over a repeated field."""
    if "[]" not in path:
        walk = operator.attrgetter(path)

        def get_one(message: Any) -> list[Any]:
            try:
                return [walk(message)]
            except AttributeError:
                return [""]

        return get_one
    steps = [(step.removesuffix("[]"), step.endswith("[]")) for step in path.split(".")]

    def get(message: Any) -> list[Any]:
        found = [message]
        for name, many in steps:
            found = (
                [each for one in found for each in getattr(one, name, ())]
                if many
                else [getattr(one, name, "") for one in found]
            )
        return found

    return get


def _text(value: Any) -> str:
    """Return a part as text: a timestamp as its UTC date, everything else as it is.

    Empty where there is none, or a number that is no time.
    """
    if isinstance(value, str):
        return value
    if hasattr(value, "ToDatetime"):
        try:
            return str(value.ToDatetime().date().isoformat()) if value.seconds else ""
        except (ValueError, OverflowError):
            return ""
    return str(value)
