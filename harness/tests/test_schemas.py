"""Every verb that prints JSON says what it prints, and prints that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import pytest
import saved

from ampy_conformance import cli
from ampy_conformance.cli import _schema

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*arguments, cwd=None):
    command = [sys.executable, "-m", "ampy_conformance", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env=environment
    )
    assert "Traceback" not in done.stderr
    return done


def verbs(group=cli.cli, path=()):
    """Yield the words of every command that is no group, with the command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from verbs(command, (*path, name))
        else:
            yield (*path, name), command


WITH_JSON = [
    words for words, each in verbs() if any("--json" in param.opts for param in each.params)
]


def conforms(schema, value):
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    jsonschema.validate(value, schema, cls=kind)


@pytest.mark.parametrize("words", WITH_JSON, ids=" ".join)
def test_every_verb_with_json_has_its_schema(words):
    name = _schema.of_verb(words)
    assert name in _schema.names(), (
        f"write schemas/{name}.json: what `{' '.join(words)} --json` prints"
    )
    schema = _schema.of(name)
    jsonschema.validators.validator_for(schema).check_schema(schema)
    assert schema["title"]


@pytest.mark.parametrize(
    "words",
    [
        ("doctor",), ("explain",), ("explain", "ORD-01"), ("explain", "ORD"), ("explain", "A-05"), ("explain", "profiles"),
        ("spec", "check"), ("spec", "coverage"), ("golden", "check"), ("smoke", "mem"),
        ("validate", "golden"), ("validate", "faulty"), ("validate", "pyproject.toml"),
        ("report", "show", "r.jsonl"), ("report", "diff", "r.jsonl", "other.jsonl"),
        ("check", "h.jsonl"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_printed_is_what_the_schema_says(tmp_path, words):
    saved.write(tmp_path / "r.jsonl")
    saved.write(
        tmp_path / "other.jsonl", [saved.case("test_ids", {"HDR-01": "fail"}, "HDR-01: no")]
    )
    saved.history(tmp_path / "h.jsonl")
    for name in ("golden", "faulty", "pyproject.toml"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    verb = max((each for each in WITH_JSON if words[: len(each)] == each), key=len)
    asked, told = run(*verb, "--schema"), run(*words, "--json", cwd=tmp_path)
    assert asked.returncode == 0
    value = json.loads(told.stdout)
    conforms(json.loads(asked.stdout), value)
    assert value


@pytest.mark.parametrize("name", ["interop-nats", "selftest"])
def test_what_was_published_is_what_the_schema_says(name):
    path = CHECKOUT / "reports" / f"{name}.json"
    if not path.exists():
        pytest.skip("no checkout: what was published is not part of the package")
    conforms(_schema.of(f"output/{name.partition('-')[0]}"), json.loads(path.read_text("utf-8")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("certify", "mem", "--clause", "HDR-01"), ("compare", "mem", "nats"),
        ("campaign", "mem", "--duration", "3", "--faults", "handler"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_a_run_prints_is_what_the_schema_says(tmp_path, words):
    told = run(*words, "--json", cwd=tmp_path)
    conforms(json.loads(run(words[0], "--schema").stdout), json.loads(told.stdout))


def test_schemas_are_listed_and_printed_by_name():
    listed = {each.split()[0] for each in run("schema").stdout.splitlines()}
    assert listed == set(_schema.names())
    assert {"report", "history", "finding", "headers", "driver/protocol"} <= listed
    assert json.loads(run("schema", "report").stdout)["$id"] == "urn:ampy-conform:report:1"
    wrong = run("schema", "nothing")
    assert wrong.returncode == 2
    assert "there is no schema 'nothing'" in wrong.stderr
