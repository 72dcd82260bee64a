"""The driver of the published ampy-bus for Python: its environment, and that the suite sees the library through it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import textwrap

import pytest

from ampy_conformance import driver as drivers
from ampy_conformance._cache import fingerprint
from ampy_conformance._layout import PACKAGE
from ampy_conformance.driver import aliases, provision
from ampy_conformance.driver.errors import DriverUnavailable
from ampy_conformance.report import lines

ALONE = PACKAGE / "kit" / "alone.py"


@pytest.fixture(scope="session")
def ready():
    try:
        connectable = aliases.resolve("ampy-bus-python")
    except DriverUnavailable as error:
        pytest.skip(f"it cannot be made ready here: {error}")
    return shlex.split(connectable.removeprefix("exec:"))


def certify(tmp_path, *arguments):
    report = tmp_path / "report.jsonl"
    line = [sys.executable, "-m", "ampy_conformance", "certify", "ampy-bus-python", "--seed", "1"]
    done = subprocess.run(
        [*line, "--report", str(report), *arguments], capture_output=True, text=True, check=False
    )
    return done, lines.read(report)


# -- the host ------------------------------------------------------------------------------


def test_a_driver_in_a_file_runs_beside_the_kit_and_nothing_else_of_ours(tmp_path):
    """The kit is found by its place; the folder it lies in is not importable from."""
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            f"""
            import sys
            from ampy_conformance.kit import Driver as Base
            class Driver(Base):
                identity = {{"name": "mine", "version": "1", "language": "python", "broker": "nats",
                            "source": str({str(PACKAGE.parent)!r} in sys.path)}}
            """
        )
    )
    # -P and -I would hide what a script's own folder adds; a plain start is what is meant.
    command = shlex.join([sys.executable, str(ALONE), f"{tmp_path / 'mine.py'}:Driver"])
    each = drivers.connect(f"exec:{command}")
    try:
        hello = each.hello("ampy-bus", "1.0.0", "0" * 64)
        assert hello.facts()["name"] == "mine"
    finally:
        each.kill()


def test_what_is_no_driver_is_told_in_one_sentence(tmp_path):
    (tmp_path / "mine.py").write_text("x = 1\n")
    for name, says in (("mine.py:x", "is no class"), ("other.py:Driver", "No such file")):
        line = [sys.executable, str(ALONE), str(tmp_path / name)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 66
        assert says in done.stderr
        assert len(done.stderr.splitlines()[-1]) < 300


# -- its environment -----------------------------------------------------------------------


def test_a_change_of_the_requirements_makes_another_environment(tmp_path):
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("one")
    first = fingerprint([wanted])
    wanted.write_text("two")
    assert fingerprint([wanted]) != first


def test_an_environment_that_cannot_be_made_is_one_sentence_and_leaves_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        DriverUnavailable, match="the environment of ampy-bus-python could not"
    ) as e:
        provision.python("ampy-bus-python").connectable()
    assert "\n" not in str(e.value)
    assert list((tmp_path / "ampy-conform").iterdir()) == []


@pytest.mark.slow
def test_its_environment_has_the_library_and_nothing_of_ours(ready):
    """Only the kit, and what the kit needs, come from here."""
    look = "import importlib.util as u; print([n for n in ('click', 'lark', 'pytest', 'rich', 'ampy') if u.find_spec(n)])"
    done = subprocess.run([ready[0], "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- the library, seen through it ----------------------------------------------------------


@pytest.mark.slow
def test_what_the_library_keeps_passes_and_what_it_breaks_fails(ready, tmp_path):  # noqa: ARG001 (is there)
    """The driver neither hides a fault of the library nor makes one."""
    wanted = ("QOS-01", "SER-12", "ORD-01", "HDR-03", "RTY-05")
    done, report = certify(tmp_path, *(f"--clause={each}" for each in wanted))
    assert done.returncode == 1, done.stderr
    assert {each: report.clauses[each]["outcome"] for each in wanted} == {
        "QOS-01": "pass",
        "SER-12": "pass",
        "ORD-01": "pass",
        "HDR-03": "fail",  # its ids are UUIDs of version 4: they do not sort
        "RTY-05": "fail",  # the first failure of a handler makes a dead letter
    }
