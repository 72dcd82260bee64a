"""`ampy-conform doctor`: what is there, what is missing, what brings it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from ampy_conformance.broker import BrokerError, kafka_jars, nats_server
from ampy_conformance.cli import cli
from ampy_conformance.suite import components

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from click.testing import Result


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments], standalone_mode=False)


def told(*arguments: str) -> dict[str, dict[str, Any]]:
    """What it says as JSON, by component."""
    found = json.loads(doctor("--json", *arguments).output)["components"]
    return {each["name"]: each for each in found}


def test_the_default_path_is_whole_here() -> None:
    assert doctor().return_value == 0
    for name in ("Python", "nats-server", "ampy-proto"):
        each = told()[name]
        assert (each["default"], each["present"], each["brings"]) == (True, True, "")
        assert each["version"][0].isdigit()


def test_whatever_is_missing_has_a_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    found = told()

    for name in ("Kafka jars", "Go", "toxiproxy", "Node", "Docker"):
        assert (found[name]["present"], found[name]["version"]) == (False, None)
        assert found[name]["brings"]
    assert all(each["present"] or each["brings"] for each in found.values())
    result = doctor()
    assert result.return_value == 0  # none of them is needed by default
    assert "missing" in result.output
    assert "ampy-conform doctor" in result.output


def test_a_broken_default_path_is_exit_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise BrokerError("there is no nats-server beside this Python nor on PATH")

    monkeypatch.setattr(nats_server, "find", nowhere)
    result = doctor()

    assert result.return_value == 3
    assert "there is no nats-server" in result.output
    assert told()["nats-server"]["says"].startswith("there is no nats-server")


def test_a_jar_that_is_another_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lock = kafka_jars.locked()
    kafka_jars.folder(lock).mkdir(parents=True)
    for each in lock.jars:
        (kafka_jars.folder(lock) / each.filename).write_bytes(b"evil")

    jars = told()["Kafka jars"]
    assert not jars["present"]
    assert "is not the file that was locked" in jars["says"]


def test_the_versions_are_those_of_the_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, said in (("go", "go version go1.99.1 linux/amd64"), ("node", "v99.2.0")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{said}'\n", "utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = told()

    assert (found["Go"]["version"], found["Node"]["version"]) == ("1.99.1", "99.2.0")


def test_what_fails_when_it_is_asked_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"  # the client is there, the daemon is not
    program.write_text("#!/bin/sh\necho 'cannot connect' >&2\nexit 1\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert not told()["Docker"]["present"]


def test_every_component_is_asked_once() -> None:
    names = [each.name for each in components.survey()]

    assert len(names) == len(set(names))
