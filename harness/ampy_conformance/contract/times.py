"""Times in payloads: protobuf lets any number pass for a Timestamp, and not every one is a time."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMESTAMP = "google.protobuf.Timestamp"
# 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, as google/protobuf/timestamp.proto has it.
FIRST, LAST = -62_135_596_800, 253_402_300_799
NANOS = 1_000_000_000

# Fields of a message: name, whether there are many, and what is within; None for a time.
Plan = tuple[tuple[str, bool, Any], ...]


def wrong(message: Any) -> Iterator[str]:
    """Yield the path of each Timestamp in a message that is no time between the years 1 and 9999."""
    plan = _plan(message.DESCRIPTOR)
    return iter(()) if _right(message, plan) else _wrong(message, plan, "")


def _right(message: Any, plan: Plan) -> bool:
    """Tell whether every time is one: nearly all are, and paths are made for those that are not."""
    for name, many, within in plan:
        value = getattr(message, name)
        if within is None:
            if many:
                if not all(map(_is_time, value)):
                    return False
            # As `_is_time`, without a call. What is not there is the first second of 1970.
            elif not FIRST <= value.seconds <= LAST or not 0 <= value.nanos < NANOS:
                return False
        elif many:
            for each in value:
                if not _right(each, within):
                    return False
        elif message.HasField(name) and not _right(value, within):
            return False
    return True


def _is_time(stamp: Any) -> bool:
    return bool(FIRST <= stamp.seconds <= LAST and 0 <= stamp.nanos < NANOS)


def _wrong(message: Any, plan: Plan, path: str) -> Iterator[str]:
    for name, many, within in plan:
        value = getattr(message, name)
        for where, each in (
            [(f"{path}{name}[{number}]", each) for number, each in enumerate(value)]
            if many
            else [(f"{path}{name}", value)]
        ):
            if within is not None:
                yield from _wrong(each, within, f"{where}.")
            elif not _is_time(each):
                yield where


@functools.cache
def _plan(descriptor: Any, above: tuple[str, ...] = ()) -> Plan:
    """Return the fields through which a type reaches a time; a type within itself is left out."""
    found: list[tuple[str, bool, Any]] = []
    for field in descriptor.fields:
        inner = field.message_type
        if inner is None or inner.full_name in above or inner.GetOptions().map_entry:
            continue
        if inner.full_name == TIMESTAMP:
            found.append((field.name, field.is_repeated, None))
        elif within := _plan(inner, (*above, descriptor.full_name)):
            found.append((field.name, field.is_repeated, within))
    return tuple(found)
