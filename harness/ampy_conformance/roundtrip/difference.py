"""Where two messages differ, unknown fields included; says the place, never the content."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

from google.protobuf.unknown_fields import UnknownFieldSet

from ampy_conformance.roundtrip.corpus import is_map

if TYPE_CHECKING:
    from collections.abc import Hashable

    from google.protobuf.message import Message


def difference(before: Message, after: Message, where: str = "") -> str | None:
    """Return the first difference between two messages of one type, None where they are equal.

    Numbers are compared by their bits, so that a NaN equals itself and -0.0 is not 0.0.
    """
    left, right = _fields(before), _fields(after)
    for name in [*left, *(each for each in right if each not in left)]:
        place = f"{where}{name}"
        if name not in right:
            return f"{place} is lost"
        if name not in left:
            return f"{place} was not there before"
        found = _values(left[name][0], left[name][1], right[name][1], place)
        if found is not None:
            return found
    return _unknown(before, after, where)


def _fields(message: Message) -> dict[str, tuple[Any, Any]]:
    return {field.name: (field, value) for field, value in message.ListFields()}


def _values(field: Any, before: Any, after: Any, place: str) -> str | None:
    if is_map(field):
        return _maps(field, before, after, place)
    if not field.is_repeated:
        return _one(field, before, after, place)
    if len(before) != len(after):
        return f"{place} has {len(after)} elements instead of {len(before)}"
    for index, (left, right) in enumerate(zip(before, after, strict=True)):
        found = _one(field, left, right, f"{place}[{index}]")
        if found is not None:
            return found
    return None


def _maps(field: Any, before: Any, after: Any, place: str) -> str | None:
    if set(before) != set(after):
        return f"{place} has other keys"
    value = field.message_type.fields_by_name["value"]
    pairs = ((before[key], after[key]) for key in before)
    return next(
        (
            found
            for left, right in pairs
            if (found := _one(value, left, right, f"{place}[...]")) is not None
        ),
        None,
    )


def _one(field: Any, before: Any, after: Any, place: str) -> str | None:
    if field.message_type is not None:
        return difference(before, after, f"{place}.")
    return None if _bits(before) == _bits(after) else f"{place} has another value"


def _bits(value: Any) -> Any:
    return struct.pack("<d", value) if isinstance(value, float) else value


def _unknown(before: Message, after: Message, where: str) -> str | None:
    left, right = Counter(_unknown_fields(before)), Counter(_unknown_fields(after))
    at = f"in {where.removesuffix('.')}" if where else "at the top"
    for (number, _, _), _count in sorted((left - right).items(), key=str):
        return f"the unknown field {number} {at} is lost or changed"
    for (number, _, _), _count in sorted((right - left).items(), key=str):
        return f"the unknown field {number} {at} was not there before"
    return None


def _unknown_fields(message: Message) -> list[tuple[int, int, Hashable]]:
    return _flat(UnknownFieldSet(message))


def _flat(fields: Any) -> list[tuple[int, int, Hashable]]:
    return [
        (
            each.field_number,
            each.wire_type,
            each.data if isinstance(each.data, int | bytes) else tuple(_flat(each.data)),
        )
        for each in fields
    ]
