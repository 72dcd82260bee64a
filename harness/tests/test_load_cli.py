"""What `ampy-conform load` leaves behind where it does not come to its end, and what it refuses."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from ampy_conformance._errors import HarnessError
from ampy_conformance.cli import cli, load, main
from ampy_conformance.report import lines
from ampy_conformance.suite.loading import Loading


def proven(found: str):
    """Return a latency run that writes a line with this outcome."""

    def latency(self):
        limit = {"clause": "SLO-01", "domains": ["orders"], "limit_ms": 50, "outcome": found}
        self.line({"what": "latency", "limits": [limit], "offered": {"rate": 1.0, "mix": [], "domains": []},
                   "quick": True, "seed": 1, "sides": {}})  # fmt: skip

    return latency


@pytest.fixture
def ended(monkeypatch, tmp_path):
    """Run `load` on the memory binding with these results; returns exit code, error and report."""
    monkeypatch.setattr(load.loads, "show", lambda *_: None)

    def run(found, trouble):
        def throughput(_):
            raise trouble

        monkeypatch.setattr(Loading, "latency", proven(found))
        monkeypatch.setattr(Loading, "throughput", throughput)
        path = tmp_path / "load.jsonl"
        arguments = ["load", "mem", "--seed", "1", "--report", str(path)]
        result = CliRunner().invoke(cli, arguments, standalone_mode=False)
        return result, lines.read(path)

    return run


@pytest.mark.parametrize(("found", "code"), [("fail", 1), ("pass", 3), ("inconclusive", 3)])
def test_what_was_proven_before_an_error_stays_proven(ended, found, code):
    result, report = ended(found, HarnessError("the broker went away"))
    assert result.return_value == report.end["exit"] == code
    assert "the broker went away" in result.stderr
    assert report.end["trouble"] == "the broker went away"


def test_an_interrupted_load_is_no_pass(ended):
    result, report = ended("pass", KeyboardInterrupt())
    assert isinstance(result.exception, click.Abort)
    assert (report.end["exit"], report.end["partial"]) == (3, True)
    assert "KeyboardInterrupt" in report.end["trouble"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--duration", "nan"), "no number of use"),
        (("--rate", "nan"), "no number of use"),
        (("--report", "."), "is a directory"),
    ],
)
def test_what_is_no_number_or_no_file_is_refused(arguments, says, capsys):
    with pytest.raises(SystemExit) as end:
        main(["load", "mem", *arguments])
    assert end.value.code == 2
    assert says in capsys.readouterr().err


def test_a_fault_of_ours_is_no_verdict(monkeypatch, capsys):
    monkeypatch.setattr(load, "mix_of", lambda _: 1 / 0)
    with pytest.raises(SystemExit) as end:
        main(["load", "mem", "--mix", "300:1"])
    assert end.value.code == 3
    assert "this is a fault of the suite" in capsys.readouterr().err
