"""`--schema` of every verb that prints JSON: what its JSON is like, as a JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ampy_conformance._errors import UsageError
from ampy_conformance._layout import room

if TYPE_CHECKING:
    from collections.abc import Sequence

# Verbs whose JSON is one line of a file that has a schema: the file, and the kind of line.
LINES = {"certify": ("report", "end"), "report-show": ("report", "end")}


def offer(command: click.Command, path: Sequence[str]) -> click.Command:
    """Give `--schema` to a command that has `--json`, and to all below it where it is a group.

    `path` are the words of the command, which name its schema (`of_verb`).
    """
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            offer(each, [*path, name])
    named = {each.name for each in command.params}
    if "as_json" in named and "schema" not in named:
        command.params.append(_option(tuple(path)))
    return command


def of_verb(words: Sequence[str]) -> str:
    """Return the name of the schema of what a verb prints.

    That is `output/<words joined by ->`, or the same without `output/` where there is such a file.
    """
    verb = "-".join(words)
    return verb if verb in names() else f"output/{verb}"


def of(name: str) -> dict[str, Any]:
    """Return a schema by its path below `schemas/`, without `.json`; or of a verb's output."""
    file, kind = LINES.get(name.removeprefix("output/"), (name, None))
    path = room("schemas") / f"{file}.json"
    if file not in names() and name not in names():
        raise UsageError(f"there is no schema {name!r}; there are {', '.join(names())}")
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if kind is None:
        return schema
    head = {
        "$schema": schema["$schema"],
        "$id": f"{schema['$id']}:{kind}",
        "title": f"The `{kind}` line of a {file}",
    }
    return {**head, **schema["$defs"][kind], "$defs": schema["$defs"]}


def names() -> list[str]:
    """Return the names of all schemas; what else lies with them (the table of errors) is none."""
    found = {
        each.relative_to(room("schemas")).with_suffix("").as_posix()
        for each in room("schemas").rglob("*.json")
        if "$schema" in json.loads(each.read_text("utf-8"))
    }
    return sorted(found | {f"output/{each}" for each in LINES})


def _option(words: Sequence[str]) -> click.Option:
    def show(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            click.echo(json.dumps(of(of_verb(words)), indent=2))
            context.exit()

    return click.Option(
        ["--schema"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Print the JSON Schema of what --json prints, and end.",
    )
