"""docs/tutorial.md, followed to the letter: every command is run and must end as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^\n]+?) -->\n)?```(?P<lang>\w+)\n(?P<text>.*?)```", re.DOTALL
)


@dataclass(frozen=True)
class Step:
    """One block of the page: a file to save, or commands and the exit code of the last."""

    line: int
    text: str
    file: str | None = None
    exit: int | None = None


def steps(page: str) -> list[Step]:
    """Return what a reader does, in order. Every block of commands says how it ends."""
    found = []
    for each in BLOCK.finditer(page):
        line = page[: each.start()].count("\n") + 1
        mark, lang, text = each["mark"] or "", each["lang"], each["text"]
        if mark.startswith("file "):
            found.append(Step(line, text, file=mark.removeprefix("file ")))
        elif ended := re.fullmatch(r"run: exit (\d+)", mark):
            found.append(Step(line, text, exit=int(ended[1])))
        elif lang == "sh":
            assert mark.startswith("not run: "), f"line {line}: commands that nobody runs"
        else:
            assert lang == "text", f"line {line}: a block that is neither run, saved nor shown"
    return found


def follow(step: Step, folder: Path, places: Path) -> subprocess.CompletedProcess[str]:
    """Run a step's commands where the step before ended, as a reader's shell would."""
    here = places.read_text("utf-8").strip() if places.exists() else str(folder)
    script = f"set -e\ntrap 'pwd > \"$PLACES\"' EXIT\ncd {here!r}\n{step.text}"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-c", script],
        check=False, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PATH": path, "PLACES": str(places)},
    )  # fmt: skip


def test_only_the_installation_is_not_run():
    page = PAGE.read_text("utf-8")
    assert page.count("<!-- not run: ") == 1
    assert [each.exit for each in steps(page) if each.file is None] == [0, 0, 6, 0, 1, 0, 0, 0]
    assert {each.file for each in steps(page)} == {None, "bus.py", "driver.py", "known.yaml"}


def test_a_block_without_a_word_on_how_it_ends_is_refused():
    with pytest.raises(AssertionError, match="line 3"):
        steps("# A\n\n```sh\nampy-conform doctor\n```\n")


def test_a_wrong_exit_code_is_seen(tmp_path):
    step = Step(1, "true\nfalse\ntrue", exit=0)
    assert follow(step, tmp_path, tmp_path / "places").returncode == 1


@pytest.mark.slow
def test_the_tutorial_works_as_written(tmp_path):
    places = tmp_path / "places"
    folder = tmp_path / "reader"
    folder.mkdir()
    for step in steps(PAGE.read_text("utf-8")):
        if step.file is not None:
            assert places.exists(), f"line {step.line}: where is the reader?"
            (Path(places.read_text("utf-8").strip()) / step.file).write_text(step.text, "utf-8")
            continue
        done = follow(step, folder, places)
        said = f"line {step.line}:\n{step.text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == step.exit, said
        if "--group HDR" in step.text:  # what the page shows of the output
            for word in ("HDR-01 failed", "an RFC 9562 UUID of version 7", "The UUID function"):
                assert word in done.stdout
    assert (folder / "my-driver" / "report.jsonl").is_file()
    assert (folder / "my-driver" / "report.xml").is_file()
