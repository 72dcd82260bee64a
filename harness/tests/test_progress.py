"""A long run says how far it is where no terminal shows a bar, and its JSON stays JSON."""

from __future__ import annotations

import json

import pytest

from ampy_conformance.cli import _progress, certify
from ampy_conformance.cli._progress import Lines, shown


class Ended:
    """A process that is over."""

    def poll(self):
        return 0


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(_progress, "EVERY", 0)


def test_lines_are_seldom(monkeypatch, capsys):
    monkeypatch.setattr(_progress, "EVERY", 3600)
    lines = Lines()
    for number in range(1000):
        lines.tell(f"{number} of 1000")
    assert not capsys.readouterr().err


def test_a_line_says_when_and_what(capsys):
    Lines().tell("3 of 7 [x]")
    captured = capsys.readouterr()
    assert captured.err.split() == ["0", "s", "3", "of", "7", "[x]"]
    assert not captured.out


def test_steps_are_told_without_a_terminal(capsys):
    with shown("connecting") as tell:
        tell("nats -> mem: gzip")
    assert "nats -> mem: gzip" in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [False, True], ids=["text", "json"])
def test_a_certification_says_how_far_it_is(tmp_path, capsys, quiet):
    report, status = tmp_path / "report.jsonl", tmp_path / "status"
    case = {"kind": "case", "id": "t.py::test_x", "outcome": "pass", "says": "", "clauses": {}}
    steps = [
        {"kind": "run", "planned": 12},
        {"kind": "start", "case": "t.py::test_x"},
        {**case, "seconds": 0.1},
    ]
    report.write_text("".join(json.dumps(each) + "\n" for each in steps))
    certify._watch(report, Ended(), status, quiet=quiet, verbose=False)
    told = capsys.readouterr()
    assert "certifying 0 of 12  test_x" in told.err
    assert "certifying 1 of 12" in told.err
    assert not told.out
