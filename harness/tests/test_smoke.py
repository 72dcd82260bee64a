"""`smoke`: what works is said to work, what does not is told in one sentence with the next step."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance.cli.smoke import command
from ampy_conformance.suite.smoke import Smoke

HERE = Path(__file__).parent
PEER = HERE / "hostile" / "peer.py"
FROZEN = f"exec:{shlex.join([sys.executable, '-S', '-E', str(HERE / 'frozen' / 'driver_v1.py')])}"
LINUX = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are found in /proc"
)


def peer(*behaviour: str) -> str:
    return f"exec:{shlex.join([sys.executable, '-S', '-E', str(PEER), *behaviour])}"


def look(connectable: str) -> Smoke:
    """Look at a driver and return what was seen."""
    smoke = Smoke(contracts.load(), lambda _: None)
    smoke.run(connectable)
    return smoke


def outcomes(smoke: Smoke) -> dict[str, str]:
    return {each.name: each.outcome for each in smoke.steps}


def test_a_driver_that_works() -> None:
    steps = outcomes(look("mem"))
    assert set(steps.values()) == {"ok"}
    assert list(steps)[-4:] == ["publish", "delivery", "close", "stop"]


@pytest.mark.parametrize(
    ("behaviour", "step", "says", "hint"),
    [
        ("banner", "handshake", "standard output is for frames only: not JSON: 'Starting", "error"),
        ("wrong_version", "handshake", "chose protocol 99, this suite speaks 1: update", ""),
        ("refuses_hello", "handshake", "refused hello: unsupported: protocol 2 to 3", "speaks protocol 1"),
        ("nameless", "handshake", "the field name is missing", "docs/driver-protocol.md"),
        ("dies_at_once", "handshake", "ended (exit code 4) before it answered hello", "said last"),
        ("hangs_later", "clock", "did not answer clock within", "answer every request"),
    ],
)  # fmt: skip
def test_a_driver_in_trouble(behaviour: str, step: str, says: str, hint: str) -> None:
    smoke = look(peer(behaviour))
    last = smoke.steps[-1]
    assert (last.name, last.outcome) == (step, "failed")
    assert says in last.says
    assert hint in last.hint


def test_a_word_that_the_broker_does_not_confirm() -> None:
    """The peer acknowledges everything and does nothing; the wire decides."""
    smoke = look("py:ampy_conformance.mutants.peers:AckEverything")
    assert outcomes(smoke) | {"publish": "broken", "stop": "ok"} == outcomes(smoke)
    assert "the broker holds no such record" in next(
        each.says for each in smoke.steps if each.name == "publish"
    )


def test_a_driver_of_the_first_day_that_keeps_its_records_to_itself() -> None:
    assert outcomes(look(FROZEN))["publish"] == "broken"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@LINUX
@pytest.mark.parametrize("how", ["beside it", "detached"])
def test_a_child_that_is_left_behind_is_named_and_ended(how: str, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    words = [sys.executable, "-S", "-E", str(PEER), "forgets_a_child", how]
    script = tmp_path / "driver.sh"
    script.write_text(f"#!/bin/sh\nexec {shlex.join(words)} 2>{shlex.quote(str(told))}\n")
    script.chmod(0o755)
    smoke = look(f"exec:{shlex.quote(str(script))}")
    child = int(told.read_text().split()[0])
    last = smoke.steps[-1]
    assert (last.name, last.outcome) == ("stop", "broken")
    assert str(child) in last.says
    assert not alive(child)


def test_a_driver_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="there is no driver 'pigeon'"):
        look("pigeon")


@pytest.mark.parametrize(
    ("connectable", "code"),
    [("mem", 0), (FROZEN, 1), (peer("banner"), 3), (peer("forgets_a_child"), 1)],
)
def test_exit_codes_and_json(connectable: str, code: int) -> None:
    if code == 1 and "forgets" in connectable and not Path("/proc/self/stat").exists():
        pytest.skip("processes are found in /proc")
    done = CliRunner().invoke(command, [connectable, "--json"], standalone_mode=False)
    found = json.loads(done.stdout)
    assert done.return_value == found["exit"] == code
    assert found["steps"]
    assert found["seconds"] < 10


def test_nothing_is_left_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    look("mem")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 (names are what is asked for)
