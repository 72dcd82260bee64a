"""What the schema has against a frame, in one sentence, without quoting what may be private.

Only values of closed sets (enum, const) and numbers out of bounds are quoted: payloads,
URLs and names never are.
"""

from __future__ import annotations

from typing import Any, Protocol

QUOTED = 40
TYPES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
TYPES |= {int: "a number", float: "a number", type(None): "null"}
ARTICLES = {"object": "an", "array": "an", "integer": "an", "null": ""}


class Error(Protocol):
    """What is used here of a validation error of jsonschema-rs."""

    @property
    def instance_path(self) -> list[str | int]: ...
    @property
    def kind(self) -> Any: ...
    @property
    def instance(self) -> Any: ...


def explain(error: Error) -> str:
    """Return `PATH: what is wrong`, or only what is wrong where it is the frame itself."""
    says = _says(error.kind, error.instance)
    path = place(error.instance_path)
    return f"{path}: {says}" if path else says


def place(path: list[str | int]) -> str:
    """Return a path as one reads it: `results[0].outcome`."""
    text = ""
    for each in path:
        if isinstance(each, int):
            text += f"[{each}]"
        else:
            text += f".{printable(each)}" if text else printable(each)
    return text


def printable(value: object) -> str:
    """Return a value, shortened and without anything that a terminal would obey."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= QUOTED else text[:QUOTED] + "..."
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "backslashreplace").decode()
        for each in text
    )


def _says(kind: Any, instance: Any) -> str:
    name, value = kind.name, kind.value
    if name == "required":
        return f"the field {printable(value)} is missing"
    if name == "type":
        wanted = " or ".join(f"{ARTICLES.get(each, 'a')} {each}".strip() for each in value)
        return f"is {TYPES.get(type(instance), 'something else')}, not {wanted}"
    if name == "enum":
        shown = ", ".join(str(each) for each in value)
        return f"{_quoted(instance)} is not one of {shown}"
    if name == "const":
        return f"{_quoted(instance)} is not {value!r}"
    if name in ("minimum", "maximum"):
        word = "less" if name == "minimum" else "more"
        return f"{printable(instance)} is {word} than {value}"
    return {
        "pattern": "is not base64",
        "uniqueItems": "names something twice",
        "minLength": f"is shorter than {value}",
        "maxLength": f"is longer than {value}",
        "minItems": f"has fewer than {value} items",
        "maxItems": f"has more than {value} items",
    }.get(name, f"breaks the schema's rule {name!r}")


def _quoted(value: object) -> str:
    if isinstance(value, str):
        return f"'{printable(value)}'"
    return printable(value) if isinstance(value, int) else TYPES.get(type(value), "it")
