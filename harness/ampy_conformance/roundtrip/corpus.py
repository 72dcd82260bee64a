"""What goes on the trip: golden payloads, variations of them, and bytes that are no message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from ampy_conformance.contract import encoding, golden, payloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from ampy_conformance.contract.model import Contract
    from ampy_conformance.contract.payloads import PayloadTypes

PLAIN = "as it is"
UNKNOWN = "unknown fields"
TWICE = "twice over"
EXTREMES = ("least values", "greatest values")
TRUNCATED = "cut off"
BAD_TEXT = "bad UTF-8"

# No type of the contract uses numbers as high as these, and protobuf reserves none of them.
FIRST_UNKNOWN = 20000
VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)


@dataclass(frozen=True)
class Specimen:
    """One input: `of` is the golden envelope (`bars/typical`) or, for extremes, the type.

    `valid` tells whether `data` is a message of the type `schema`.
    """

    of: str
    variant: str
    schema: str
    data: bytes
    valid: bool = True


def specimens(contract: Contract) -> list[Specimen]:
    """Return all inputs; envelopes that carry no message (pointers) have none."""
    types = payloads.types(contract)
    found: list[Specimen] = []
    for each in golden.valid(contract):
        found += _of_envelope(types, each)
    for schema in sorted({each.schema for each in found}):
        for greatest, variant in enumerate(EXTREMES):
            message = types.of(schema)()
            _fill(message, greatest=bool(greatest))
            found.append(Specimen(schema, variant, schema, payloads.serialize(message)))
    return found


def _of_envelope(types: PayloadTypes, each: golden.Golden) -> Iterator[Specimen]:
    headers = each.envelope.headers
    body = encoding.decode_body(headers, each.envelope.payload or b"")
    if not body:
        return
    name = each.name.partition("/")[2]
    schema, _ = types.resolve(headers["schema_fqdn"])
    try:
        message = types.decode(schema, body)
    except payloads.DecodeError:  # a dead letter that is one for exactly that
        return
    yield Specimen(name, PLAIN, schema, body)
    _add_unknown(message)
    yield Specimen(name, UNKNOWN, schema, payloads.serialize(message))
    # By the wire format this is one message: single fields are merged, repeated ones joined.
    yield Specimen(name, TWICE, schema, body + body)
    # The last field loses its last byte, so this can be no message.
    yield Specimen(name, TRUNCATED, schema, body[:-1], valid=False)
    text = _bad_text(message.DESCRIPTOR)
    if text is not None:
        yield Specimen(name, BAD_TEXT, schema, body + text, valid=False)


# -- unknown fields ----------------------------------------------------------------------


def unknown_fields() -> bytes:
    """Return one field of every wire type, with numbers that no type of the contract has."""
    return b"".join(
        (
            _tag(FIRST_UNKNOWN, VARINT) + _varint(2**64 - 1),
            _tag(FIRST_UNKNOWN + 1, FIXED64) + b"\xff" * 8,
            _tag(FIRST_UNKNOWN + 2, LENGTH) + _length(b"\xff\x00no text"),
            _tag(FIRST_UNKNOWN + 3, GROUP)
            + _tag(1, VARINT)
            + _varint(1)
            + _tag(FIRST_UNKNOWN + 3, END_GROUP),
            _tag(FIRST_UNKNOWN + 4, FIXED32) + b"\xff" * 4,
        )
    )


def _add_unknown(message: Message) -> None:
    """Add unknown fields to the message and to every message within it."""
    for field, value in message.ListFields():
        if field.message_type is None or is_map(field):
            continue
        for each in value if field.is_repeated else (value,):
            _add_unknown(each)
    message.MergeFromString(unknown_fields())


# -- extremes ----------------------------------------------------------------------------

_INTS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    # Enums are open in proto3: a value that a language does not know is kept.
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_BOOL: (False, True),
    FieldDescriptor.CPPTYPE_DOUBLE: (5e-324, float("nan")),
    FieldDescriptor.CPPTYPE_FLOAT: (2.0**-149, float("inf")),
}
_TEXTS = ("\0", "\U0010ffff\u00e9e\u0301")
_BYTES = (b"\0", bytes(range(256)))


def _fill(message: Message, *, greatest: bool) -> None:
    for field in message.DESCRIPTOR.fields:
        if is_map(field):
            _fill_map(getattr(message, field.name), field, greatest=greatest)
        elif field.is_repeated:
            container = getattr(message, field.name)
            if field.message_type is not None:
                for _ in range(2):
                    _fill(container.add(), greatest=greatest)
            else:
                container.extend([_scalar(field, greatest=each) for each in (greatest, True)])
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            _fill(inner, greatest=greatest)
        else:
            setattr(message, field.name, _scalar(field, greatest=greatest))


def _fill_map(container: Any, field: Any, *, greatest: bool) -> None:
    entry = field.message_type.fields_by_name
    for each in (True, False):
        key = _scalar(entry["key"], greatest=each)
        if entry["value"].message_type is not None:
            _fill(container[key], greatest=greatest)
        else:
            container[key] = _scalar(entry["value"], greatest=greatest)


def _scalar(field: Any, *, greatest: bool) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _TEXTS[greatest]
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _BYTES[greatest]
    return _INTS[field.cpp_type][greatest]


# -- bytes that are no message -----------------------------------------------------------


def _bad_text(kind: Any) -> bytes | None:
    """Return a text field of the type whose bytes are no UTF-8, None where it has no text."""
    for field in kind.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            return _tag(field.number, LENGTH) + _length(b"\xc3\x28")
    for field in kind.fields:
        if field.message_type is not None and not is_map(field):
            inner = _bad_text(field.message_type)
            if inner is not None:
                return _tag(field.number, LENGTH) + _length(inner)
    return None


# -- the wire format, as far as it is needed ---------------------------------------------


def is_map(field: Any) -> bool:
    """Tell whether a field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _length(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
