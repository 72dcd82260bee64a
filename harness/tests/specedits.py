"""Edits of a contract's folder, in the small language of the examples in `spec/evolution.yaml`.

`{file, at, set | add | remove}` changes YAML: `at` goes through mappings by key and through lists by
name, id, form, value or position; `{file, replace: [old, new]}`, `append`, `text` and `delete` change a
file as text; `{message, field, type}` and the like change a payload schema; `also` are more edits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from google.protobuf import descriptor_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TYPES = {"string": 9, "int64": 3, "int32": 5, "bool": 8, "double": 1}


def apply(spec: Path, edit: Mapping[str, Any]) -> None:
    if "message" in edit:
        _schema(spec / "descriptors.binpb", edit)
        return
    path = spec / edit["file"]
    if "replace" in edit:
        old, new = edit["replace"]
        text = path.read_text("utf-8")
        assert old in text, f"{edit['file']} does not hold {old!r}"
        path.write_text(text.replace(old, new), "utf-8")
    elif "append" in edit:
        path.write_text(path.read_text("utf-8") + edit["append"], "utf-8")
    elif "text" in edit:
        path.write_text(edit["text"], "utf-8")
    elif edit.get("delete"):
        path.unlink()
    else:
        data = yaml.safe_load(path.read_text("utf-8"))
        _yaml(data, list(edit["at"]), edit)
        path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), "utf-8")
    for each in edit.get("also", ()):
        apply(spec, each)


def _yaml(data: Any, at: list[Any], edit: Mapping[str, Any]) -> None:
    for step in at[:-1]:
        data = data[_key(data, step)]
    if "add" in edit:
        inner = data[_key(data, at[-1])]
        inner.update(edit["add"]) if isinstance(inner, dict) else inner.append(edit["add"])
    elif "set" in edit:
        data[_key(data, at[-1])] = edit["set"]
    else:
        del data[_key(data, at[-1])]


def _key(data: Any, step: Any) -> Any:
    if isinstance(data, dict):
        assert step in data, f"there is no {step!r}"
        return step
    for number, each in enumerate(data):
        names = (
            [each.get(name) for name in ("name", "id", "form")]
            if isinstance(each, dict)
            else [each]
        )
        if step in names:
            return number
    assert isinstance(step, int), f"there is no {step!r}"
    return step


def _schema(path: Path, edit: Mapping[str, Any]) -> None:
    whole = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    package, _, kind = edit["message"].rpartition(".")
    file = next(
        each
        for each in whole.file
        if each.package == package and kind in [one.name for one in each.message_type]
    )
    message = next(each for each in file.message_type if each.name == kind)
    if "add_field" in edit:
        number = max(each.number for each in message.field) + 1
        name = edit["add_field"]
        message.field.add(name=name, json_name=name, number=number, type=9, label=1)
    elif "go_package" in edit:
        file.options.go_package = edit["go_package"]
    elif "new_major" in edit:
        copy = whole.file.add()
        copy.CopyFrom(file)
        copy.name = file.name.replace("/v1/", "/v2/")
        copy.package = edit["new_major"]
        fields = (each for inner in copy.message_type for each in inner.field)
        for one in (each for each in fields if each.type_name):
            one.type_name = one.type_name.replace(f".{package}.", f".{copy.package}.")
    else:
        field = next(each for each in message.field if each.name == edit["field"])
        if edit.get("remove"):
            message.field.remove(field)
        elif "number" in edit:
            field.number = edit["number"]
        else:
            field.type = TYPES[edit["type"]]
            field.ClearField("type_name")
    path.write_bytes(whole.SerializeToString(deterministic=True))
