"""`docs/driver-protocol.md`, written from the schema: every frame, field, deadline and error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ampy_conformance._layout import room
from ampy_conformance.protocol.schema import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ampy_conformance.protocol.schema import Schema

HEAD = """\
<!-- Written by ampy_conformance.protocol.document from schemas/driver; do not edit. -->

# The driver protocol, version {version}

{description}

A line has at most {max_line:,} bytes, newline included. A frame names no field twice.
Standard output carries frames and nothing else; standard error is yours.

## A conversation

Harness (`>`) and driver (`<`), one frame a line:

```text
{conversation}
```
"""
ERRORS = """\
## Error codes

An operation that did not succeed is answered with `{{"re": ID, "ok": false, "error": {{"code": CODE,
"message": TEXT}}}}`. Every code that is not in this table counts as indefinite.

| code | the operation | meaning |
|---|---|---|
"""


def document() -> str:
    """Return the documentation of the protocol in Markdown."""
    return "\n".join(_parts(schema())).rstrip() + "\n"


def conversation() -> list[str]:
    """Return the lines of the exchange that the documentation shows."""
    path = room("schemas") / "driver" / "conversation.jsonl"
    return path.read_text("utf-8").splitlines()


def is_stale(text: str) -> bool:
    """Tell whether a written documentation differs from what the schema says now."""
    return text != document()


def _parts(data: Schema) -> Iterator[str]:
    yield HEAD.format(
        version=data.versions[1],
        description=data.root["description"],
        max_line=data.max_line,
        conversation="\n".join(
            f"{'>' if 'op' in json.loads(each) else '<'} {each}" for each in conversation()
        ),
    )
    yield "## Requests: harness to driver\n"
    for op in data.names("request"):
        yield from _request(data, op)
    yield "## Events: driver to harness\n"
    for name in data.names("event"):
        frame = data.definitions[f"event.{name}"]
        yield f"### {name}\n\n{frame['description']}\n"
        yield from _table(data, frame)
    yield "## Shared shapes\n"
    for name in ("record", "result.publish", "result.settle", "error"):
        frame = data.definitions[name]
        yield f"### {name}\n\n{frame['description']}\n"
        yield from _table(data, frame)
    yield ERRORS.format() + "\n".join(
        f"| `{code}` | {'did not happen' if row['definite'] else 'may have happened'} "
        f"| {row['meaning']} |"
        for code, row in data.errors.items()
    )


def _request(data: Schema, op: str) -> Iterator[str]:
    frame = data.definitions[f"request.{op}"]
    answer = data.definitions[f"answer.{op}"]
    seconds = frame["x-deadline-ms"] / 1000
    yield f"### {op}\n\n{frame['description']} Answer within {seconds:g} s.\n"
    yield from _table(data, frame)
    yield f"Answer: {answer['description']}\n"
    yield from _table(data, answer)


def _table(data: Schema, frame: Mapping[str, Any]) -> Iterator[str]:
    yield "| field | type | required | description |\n|---|---|---|---|"
    yield from _rows(data, frame, "")
    yield ""


def _rows(data: Schema, shape: Mapping[str, Any], prefix: str) -> Iterator[str]:
    required = shape.get("required", ())
    for name, rule in shape["properties"].items():
        path = prefix + name
        must = "yes" if name in required else "no"
        says = _description(rule).replace("|", "\\|")
        yield f"| `{path}` | {_type(rule)} | {must} | {says} |"
        if "properties" in rule:
            yield from _rows(data, rule, f"{path}.")
        items = rule.get("items", {})
        if "properties" in items:
            yield from _rows(data, items, f"{path}[].")


def _description(rule: Mapping[str, Any]) -> str:
    texts = [rule.get("description", ""), rule.get("items", {}).get("description", "")]
    if "x-one-per" in rule:
        texts.append(f"One for each of the request's `{rule['x-one-per']}`.")
    if "default" in rule:
        texts.append(f"Default: `{rule['default']}`.".replace("False", "false"))
    return " ".join(each for each in texts if each)


def _type(rule: Mapping[str, Any]) -> str:
    if "$ref" in rule:
        name = rule["$ref"].removeprefix("#/$defs/")
        return f"[{name}](#{name.replace('.', '')})"
    if "const" in rule:
        value = rule["const"]
        return f"`{str(value).lower() if isinstance(value, bool) else value}`"
    if "enum" in rule:
        return ", ".join(f"`{each}`" for each in rule["enum"])
    return _plain_type(rule, rule.get("type", "any"))


def _plain_type(rule: Mapping[str, Any], kind: str | list[str]) -> str:
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array" and "items" in rule:
        return f"array of {_type(rule['items'])}"
    if kind == "object" and isinstance(rule.get("additionalProperties"), dict):
        return f"object of {_type(rule['additionalProperties'])}"
    return "base64" if rule.get("contentEncoding") == "base64" else kind
