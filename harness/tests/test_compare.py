"""The same scenario through several bindings: equal ones agree, each kind of deviation shows."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ampy_conformance._errors import ConformError
from ampy_conformance.cli import cli
from ampy_conformance.suite.scenario import Outcome, differences

MUTANT = "py:ampy_conformance.mutants.{}:Driver"


def run(*arguments):
    result = CliRunner().invoke(cli, ["compare", *arguments], standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def test_differences_say_where_two_outcomes_part():
    one = Outcome(
        "one", {"records": {"a": {"headers": {"x": "1", "y": "2"}, "topic": "t"}, "b": 1}}
    )
    two = Outcome(
        "two", {"records": {"a": {"headers": {"x": "1", "y": "3"}, "topic": "t"}, "c": 1}}
    )
    assert differences(one, one) == {"records": []}
    assert differences(one, two) == {
        "records": ["a: headers y 2 / 3", "b: 1 / nothing", "c: nothing / 1"]
    }


def test_one_binding_is_nothing_to_compare():
    code, says = run("mem", "mem")
    assert (code, "two bindings or more" in says) == (2, True)


@pytest.mark.slow
def test_the_reference_bindings_agree():
    code, output = run("mem", "nats", "--seed", "1", "--json")
    found = json.loads(output)
    assert (code, found["stopped"]) == (0, {})
    assert not any(found["differences"]["nats"].values())
    aspects = found["outcomes"]["mem"]
    assert all(aspects.values()), "an aspect without an observation compares nothing"
    assert aspects["effects"]["fails twice"]["attempts"] == 3
    assert aspects["effects"]["orders 0.0"]["effects"] == 1
    assert "other id, same dedupe key" not in aspects["effects"]
    assert set(aspects["dead letters"]) == {"fails always", "undecodable"}
    assert aspects["records"]["large"]["headers"]["content_encoding"] == "gzip"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "aspect"),
    [
        ("hdr_24_leaner_metrics", "records"),
        ("idm_02_ids_only", "effects"),
        ("ord_01_newest_first", "delivery order"),
        ("dlq_07_changes_the_payload", "dead letters"),
        ("top_02_accepts_any_env", "publishes"),
    ],
)
def test_a_deviation_shows_in_its_aspect(mutant, aspect):
    code, output = run("mem", MUTANT.format(mutant), "--seed", "1", "--json")
    found = json.loads(output)["differences"][MUTANT.format(mutant)]
    assert code == 1
    assert found[aspect], found


@pytest.mark.slow
def test_a_binding_that_does_nothing_is_not_the_same():
    code, output = run("mem", "py:ampy_conformance.mutants.peers:AckEverything")
    assert (code, "did not come through" in output) == (6, True)
