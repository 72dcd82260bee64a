"""A payload type as .proto text that stands alone, for tools that cannot read descriptors.

Protobuf schemas inside other documents know no imports but those of `google/protobuf`. So each
text holds the type and everything it refers to, side by side in the type's own package; numbers,
names and types of fields are those of the descriptor set, and with them the bytes on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from ampy_conformance.contract import payloads
from ampy_conformance.contract.registry import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor, EnumDescriptor, OneofDescriptor

    from ampy_conformance.contract.model import Contract

WELL_KNOWN = "google.protobuf."
SCALARS = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name
    for name in (
        "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string",
        "bytes", "uint32", "sfixed32", "sfixed64", "sint32", "sint64",
    )
}  # fmt: skip


def of(contract: Contract, name: str) -> str:
    """Return the text of a payload type; raises `UnknownType`, or `SpecError` on a clash of names."""
    root = payloads.types(contract).of(name).DESCRIPTOR
    used = _used(root)
    leaves: dict[str, str] = {}
    for each in used:
        other = leaves.setdefault(each.name, each.full_name)
        if other != each.full_name:
            raise SpecError(f"{other} and {each.full_name} cannot stand in one .proto text")
    imports = sorted({each.file.name for each in used if _well_known(each)})
    own = [each for each in used if not _well_known(each)]
    lines = ['syntax = "proto3";', f"package {root.file.package};", ""]
    lines += [f'import "{each}";' for each in imports] + [""]
    for each in own:
        if each.file is not root.file:
            lines.append(f"// {each.full_name}")
        lines += [*(_enum(each) if _is_enum(each) else _message(each)), ""]
    return "\n".join(lines)


def _used(root: Any) -> list[Any]:
    """Return the type and all it refers to, in the order in which they are met."""
    found: dict[str, Any] = {}

    def meet(each: Any) -> None:
        if each.full_name in found:
            return
        if not _is_entry(each):
            found[each.full_name] = each
        if _is_enum(each) or _well_known(each):
            return
        for field in each.fields:
            if field.message_type is not None:
                meet(field.message_type)
            elif field.enum_type is not None:
                meet(field.enum_type)

    meet(root)
    return list(found.values())


def _is_entry(each: Any) -> bool:
    """Whether the type is only how a map's entries are described."""
    return not _is_enum(each) and bool(each.GetOptions().map_entry)


def _is_enum(each: Any) -> bool:
    return hasattr(each, "values_by_number")


def _well_known(each: Any) -> bool:
    return str(each.full_name).startswith(WELL_KNOWN)


def _enum(each: EnumDescriptor) -> Iterator[str]:
    yield f"enum {each.name} {{"
    for value in each.values:
        yield f"  {value.name} = {value.number};"
    yield "}"


def _message(each: Descriptor) -> Iterator[str]:
    yield f"message {each.name} {{"
    done: set[str] = set()
    for field in each.fields:
        choice = field.containing_oneof
        if choice is None or _synthetic(choice):
            yield f"  {_field(field)}"
        elif choice.name not in done:
            done.add(choice.name)
            yield f"  oneof {choice.name} {{"
            for one in choice.fields:
                yield f"    {_field(one)}"
            yield "  }"
    yield "}"


def _synthetic(choice: OneofDescriptor) -> bool:
    """Whether the oneof is only how proto3 keeps the presence of one optional field."""
    return len(choice.fields) == 1 and choice.name == f"_{choice.fields[0].name}"


def _field(field: FieldDescriptor) -> str:
    kind = field.message_type
    if kind is not None and _is_entry(kind):
        key, value = (_type(kind.fields_by_name[each]) for each in ("key", "value"))
        return f"map<{key}, {value}> {field.name} = {field.number};"
    choice = field.containing_oneof
    label = "repeated " if field.is_repeated else ""
    if choice is not None and _synthetic(choice):
        label = "optional "
    return f"{label}{_type(field)} {field.name} = {field.number};"


def _type(field: FieldDescriptor) -> str:
    kind = field.message_type or field.enum_type
    if kind is None:
        return SCALARS[field.type]
    return kind.full_name if _well_known(kind) else kind.name
