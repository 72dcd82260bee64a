"""The selftest itself: sharding loses nothing, and a mutant that lives is not called dead."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ampy_conformance._errors import UsageError
from ampy_conformance._layout import PACKAGE
from ampy_conformance.cli import _progress, selftest
from ampy_conformance.contract import references
from ampy_conformance.contract.references import MutantRef
from ampy_conformance.selftest import peers, runner

EVERYTHING = runner.work(references.mutants(PACKAGE / "mutants"), peers.PEERS)


class NoBug(MutantRef):
    """A mutant that is none: the reference binding under another name."""

    @property
    def connectable(self) -> str:
        return "mem"


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_shards_are_everything_once(of: int) -> None:
    parts = [runner.shard(EVERYTHING, number, of) for number in range(1, of + 1)]
    names = [each.name for part in parts for each in part]
    assert sorted(names) == sorted(each.name for each in EVERYTHING)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    heavy = [sum(each.heavy for each in part) for part in parts]
    assert max(heavy) - min(heavy) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/2", ""])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not of the form I/N"):
        selftest._shard(text)


def test_what_takes_longest_begins_first() -> None:
    assert [each.heavy for each in EVERYTHING] == sorted(
        (each.heavy for each in EVERYTHING), reverse=True
    )


@pytest.mark.slow
def test_a_correct_binding_is_not_a_killed_mutant() -> None:
    kill = runner.mutant(NoBug("no-bug", "SER-04", "whatever it says", "", ""), 1)
    assert not kill.killed
    assert kill.why.startswith("survived SER-04; hit nothing (exit 0)")


@pytest.mark.slow
def test_dying_of_something_else_is_no_kill() -> None:
    real = next(
        each
        for each in references.mutants(PACKAGE / "mutants")
        if each.name == "ser-04-never-compresses"
    )
    assert runner.mutant(real, 1).killed
    kill = runner.mutant(replace(real, says="another sentence"), 1)
    assert not kill.killed
    assert kill.why.startswith("died of something else: 'SER-04: a payload of")


@pytest.mark.parametrize(
    ("kind", "killed", "hit", "looks"),
    [
        ("mutant", True, {}, 1),
        ("mutant", False, {}, 2),
        ("peer", False, {"QOS-01": "fail"}, 2),
        ("correct", False, {}, 2),
        ("correct", False, {"QOS-01": "fail"}, 1),
    ],
)
def test_only_doubt_is_looked_at_again(kind, killed, hit, looks) -> None:
    seen = []

    def once(seed: int, time_scale: float) -> runner.Kill:
        seen.append((seed, time_scale))
        return runner.Kill("x", "", killed=killed, why="", seconds=0.0, hit=hit)

    told: list[runner.Kill] = []
    ((_, kill),) = runner.run([runner.Work("x", kind, once)], 5, 2, told.append)
    assert (kill.looks, kill.killed) == (looks, killed)
    assert [scale for _, scale in seen] == [runner.TIME_SCALE, 1.0][:looks]
    assert told == [kill]


def test_progress_is_told_beside_the_json(monkeypatch) -> None:
    """Eleven minutes without a sign look like a hang; what a program reads stays JSON."""

    def run(wanted, seed, jobs, done):  # noqa: ARG001
        kills = [runner.Kill(each.name, "X", killed=True, why="", seconds=0.1) for each in wanted]
        for each in kills:
            done(each)
        return list(zip(wanted, kills, strict=True))

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(_progress, "EVERY", 0)
    names = [each.name for each in EVERYTHING[:2]]
    arguments = ["--json", *(word for name in names for word in ("--mutant", name))]
    result = CliRunner().invoke(selftest.command, arguments, standalone_mode=False)
    assert result.return_value == 0
    assert [each["name"] for each in json.loads(result.stdout)["kills"]] == sorted(names)
    assert "1 of 2" in result.stderr
    assert "2 of 2" in result.stderr
