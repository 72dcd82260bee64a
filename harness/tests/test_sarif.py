"""Findings for code scanning: SARIF 2.1.0, as far as its readers need it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ampy_conformance import contract as contracts
from ampy_conformance.report import sarif

CHECKOUT = Path(__file__).resolve().parents[2]
LEVELS = {"none", "note", "warning", "error"}


def validate(*arguments, cwd=CHECKOUT, stdin=""):
    command = [sys.executable, "-m", "ampy_conformance", "validate", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd, input=stdin
    )
    assert "Traceback" not in done.stderr
    return done


def orderly(log):
    """Demand what SARIF's own schema and GitHub's code scanning demand; return the results."""
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({each["id"] for each in rules}) == len(rules)
    for each in run["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
        assert each["level"] in LEVELS
        assert each["message"]["text"]
        assert each["partialFingerprints"]
        (location,) = each["locations"]
        assert location.keys() <= {"physicalLocation", "logicalLocations"}
        if "physicalLocation" in location:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert not set(uri) & set(' "<>\\^`{|}')
            assert location["physicalLocation"]["region"]["startLine"] >= 1
    return run["results"]


def test_every_finding_of_the_faulty_envelopes_is_there():
    code, plain = 1, json.loads(validate("faulty", "--json").stdout)["findings"]
    done = validate("faulty", "--format", "sarif")
    results = orderly(json.loads(done.stdout))
    assert done.returncode == code
    grades = {"fail": "error", "warn": "warning", "info": "note"}
    assert [
        (each["ruleId"], each["level"], each["message"]["text"],
         each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        for each in results
    ] == [(each["clause"], grades[each["severity"]], each["message"], each["record"]) for each in plain]  # fmt: skip
    rules = json.loads(done.stdout)["runs"][0]["tool"]["driver"]["rules"]
    clauses = contracts.load().clauses
    assert {each["id"] for each in rules} == {each["clause"] for each in plain}
    assert all(
        each["shortDescription"]["text"] in " ".join(clauses[each["id"]].text.split())
        for each in rules
    )


def test_lines_and_streams_are_told_apart(tmp_path):
    (tmp_path / "a b.jsonl").write_text('\n{"topic": "x", "headers": {}}\nnot json\n', "utf-8")
    (first, *_, last) = orderly(
        json.loads(validate("a b.jsonl", "--format", "sarif", cwd=tmp_path).stdout)
    )
    place = first["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "a%20b.jsonl"}, "region": {"startLine": 2}}
    assert (last["ruleId"], last["level"]) == ("unreadable", "error")
    assert last["locations"][0]["physicalLocation"]["region"] == {"startLine": 3}
    (piped,) = orderly(json.loads(validate("-", "--format", "sarif", stdin="not json\n").stdout))
    assert piped["locations"] == [
        {"logicalLocations": [{"fullyQualifiedName": "stdin:1", "kind": "resource"}]}
    ]


def test_nothing_found_is_a_log_without_results():
    done = validate("golden", "--format", "sarif")
    assert (done.returncode, orderly(json.loads(done.stdout))) == (0, [])


def test_other_findings_than_clauses_can_be_told():
    rules = [sarif.Rule("HEADER-REMOVED", "A header went.", "Give it back.", {"for": "consumers"})]
    gone = sarif.Result("HEADER-REMOVED", "breaking", "x is gone", "spec/headers.yaml:12", "x")
    new = sarif.Result("HEADER-NEW", "additive", "z is new", "spec/headers.yaml")
    log = sarif.log(rules, [gone, new], demands="2.0.0")
    first, second = orderly(log)
    assert (first["level"], second["level"]) == ("error", "note")
    assert first["locations"][0]["physicalLocation"]["region"] == {"startLine": 12}
    assert first["locations"][0]["logicalLocations"] == [{"name": "x", "kind": "member"}]
    assert second["ruleId"] == "HEADER-NEW"
    assert log["runs"][0]["properties"] == {"demands": "2.0.0"}
    (moved,) = orderly(sarif.log(rules, [dataclasses.replace(gone, where="spec/headers.yaml:99")]))
    assert moved["partialFingerprints"] == first["partialFingerprints"]
    (other,) = orderly(sarif.log(rules, [dataclasses.replace(gone, part="w")]))
    assert other["partialFingerprints"] != first["partialFingerprints"]


@pytest.mark.parametrize(
    "text", ["\x00\u202e]]>", "nats://u:hunter2@h", "x" * 10_000_000, "\ud800"]
)
def test_hostile_texts_are_shown_harmlessly(text):
    rule = sarif.Rule("A", text, text, {"p": text})
    results = [
        sarif.Result("A", "fail", text, text[:99], text, properties={"p": text}),
        sarif.Result("A", "fail", text, text, is_file=False),
    ]
    log = sarif.log([rule], results)
    shown = json.dumps(log, ensure_ascii=False)
    orderly(log)
    assert len(shown) < 60_000
    assert not {"\x00", "\u202e", "\ud800"} & set(shown)
    assert "hunter2" not in shown
