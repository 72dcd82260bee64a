"""What is installed: every room, and what git knows of it, nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import ampy_conformance
from ampy_conformance._layout import PACKAGE, room

CHECKOUT = Path(__file__).resolve().parents[2]
ROOMS = ("spec", "schemas", "golden", "faulty", "conformance", "interop", "kits", "drivers")


def known_to_git(folder: str) -> set[str]:
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        pytest.skip("no checkout to compare with")
    line = ["git", "-C", str(CHECKOUT), "ls-files", "-z", folder]
    text = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    return {each for each in text.split("\0") if each}


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_is_there_whole(name):
    there = {
        f"{name}/{each.relative_to(room(name)).as_posix()}"
        for each in room(name).rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    }
    assert there == known_to_git(name)


def test_the_package_is_what_git_knows():
    there = {
        f"harness/ampy_conformance/{each.relative_to(PACKAGE).as_posix()}"
        for each in PACKAGE.rglob("*")
        if each.is_file() and not {"__pycache__", "_data"} & set(each.parts)
    }
    assert there == known_to_git("harness/ampy_conformance")


def test_a_folder_of_the_user_cannot_take_the_place_of_a_room(tmp_path, monkeypatch):
    (tmp_path / "spec").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert room("spec") != tmp_path / "spec"


def test_the_version_stands_once():
    text = (CHECKOUT / "pyproject.toml").read_text("utf-8")
    assert ampy_conformance.__version__ not in text
