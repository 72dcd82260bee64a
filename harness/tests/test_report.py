"""The canonical report: whole or refused, and never with a secret in it."""

from __future__ import annotations

import hashlib
import json

import jsonschema
import pytest
import saved

from ampy_conformance._layout import room
from ampy_conformance.report import lines, safe


@pytest.fixture
def path(tmp_path):
    """Write a whole report."""
    return saved.write(tmp_path / "report.jsonl")


def signed(path, rows):
    """Write lines with the right digest: what is wrong with them is something else."""
    raw = b"".join(json.dumps(each).encode() + b"\n" for each in rows[:-1])
    end = {**rows[-1], "digest": hashlib.sha256(raw).hexdigest()}
    path.write_bytes(raw + json.dumps(end).encode() + b"\n")


def rows_of(path):
    return [json.loads(each) for each in path.read_text("utf-8").splitlines()]


def test_it_is_read_back(path):
    report = lines.read(path)
    assert len(report.cases) == len(saved.CASES)
    assert report.clauses["IDM-01"]["outcome"] == "fail"
    assert report.end["exit"] == 1


def test_its_lines_are_those_of_the_schema(path):
    schema = json.loads((room("schemas") / "report.json").read_text("utf-8"))
    for each in rows_of(path):
        jsonschema.validate(each, schema)


def test_every_cut_is_noticed(path):
    raw = path.read_bytes()
    for end in range(0, len(raw) - 1, 97):
        path.write_bytes(raw[:end])
        with pytest.raises(lines.CorruptReport):
            lines.read(path)


def test_every_changed_line_is_noticed(path):
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"outcome": "fail"', b'"outcome": "pass"', 1))
    with pytest.raises(lines.CorruptReport, match="was changed"):
        lines.read(path)
    rows = raw.splitlines(keepends=True)
    path.write_bytes(b"".join(rows[:2] + rows[3:]))
    with pytest.raises(lines.CorruptReport):
        lines.read(path)


def test_another_schema_is_refused(path):
    path.write_bytes(path.read_bytes().replace(b'"schema": 1', b'"schema": 9', 1))
    with pytest.raises(lines.CorruptReport, match=r"schema 9.*install the matching version"):
        lines.read(path)


def _without_outcome(rows):
    del next(each for each in rows if each["kind"] == "case")["outcome"]


def _unknown_outcome(rows):
    next(each for each in rows if each["kind"] == "clause")["outcome"] = "splendid"


def _unknown_clause(rows):
    next(each for each in rows if each["kind"] == "case")["clauses"] = {"NON-99": "pass"}


def _case_twice(rows):
    rows.insert(3, dict(rows[2]))


def _two_runs(rows):
    rows.insert(1, dict(rows[0]))


def _lost_shared(rows):
    next(each for each in rows if each["kind"] == "case")["shared"] = "gallery"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without_outcome, 'line 3 is no case line: .*"outcome" is a required'),
        (_unknown_outcome, r"is no clause line: outcome: \"splendid\" is not one of"),
        (_unknown_clause, "names 'NON-99', which is no clause of this report"),
        (_case_twice, "two lines of the case"),
        (_two_runs, "a second run line"),
        (_lost_shared, "lacks its shared line"),
    ],
)
def test_lines_that_do_not_fit_are_refused_though_the_digest_does(path, change, says):
    rows = rows_of(path)
    change(rows)
    signed(path, rows)
    with pytest.raises(lines.CorruptReport, match=says):
        lines.read(path)


def test_lines_of_kinds_to_come_are_kept(path):
    rows = rows_of(path)
    rows.insert(1, {"kind": "weather", "is": "fair"})
    signed(path, rows)
    assert lines.read(path).others == ({"kind": "weather", "is": "fair"},)


def test_what_an_older_suite_wrote_is_still_read():
    """The published reports are of suites that knew neither wire records nor known failures."""
    run = {name: each for name, each in saved.RUN.items() if name not in ("faults", "strict")}
    text = b"".join(
        json.dumps(each).encode() + b"\n"
        for each in (
            {"kind": "run", **run},
            {"kind": "case", **saved.case("test_ids", {"HDR-01": "pass"})},
            {"kind": "clause", **saved.clause("HDR-01", "pass")},
        )
    )
    end = {"kind": "end", "verdict": "v", "exit": 0, "counts": {}, "profiles": {}, "stale": []}
    end |= {"trouble": None, "seconds": 1, "digest": hashlib.sha256(text).hexdigest()}
    report = lines.parse(text + json.dumps(end).encode() + b"\n", "old")
    assert len(report.cases) == 1


@pytest.mark.parametrize(
    "said",
    [
        "cannot reach nats://user:hunter2@host:4222",
        "cannot reach nats://hunter2@host:4222",
        "https://host/x?a=1&token=hunter2&b=2",
        "https://host/x?X-Access_Token=1&api_key=hunter2",
        "Authorization: Bearer hunter2",
        ["nested", {"deep": "amqp://a:hunter2@b"}],
        "nats://user:hunter2/x@host:4222",
        "https://host/x?X-Amz-Signature=hunter2",
        "exec:./d --token=hunter2 --port 1",
        "exec:./d --client-secret hunter2",
        [["authorization", "Bearer hunter2"], ["source", "s"]],
        {"Api-Key": "hunter2"},
        {"headers": {"x-amz-signature": "hunter2"}},
    ],
)
def test_no_secret_of_a_url_is_ever_written(tmp_path, said):
    case = saved.case("test_ids", {"HDR-01": "fail"}, "HDR-01: broken", seen=said)
    driver = {"connectable": said if isinstance(said, str) else "exec:./d"}
    path = saved.write(tmp_path / "r.jsonl", [case], run={"driver": driver})
    assert b"hunter2" not in path.read_bytes()
    assert b"***" in path.read_bytes()


def test_what_is_no_secret_stays():
    kept = "token 3: ampy://x is basic, key=XNAS.AAPL, a@b.example; look at path?page=2#top"
    assert safe.redact(kept) == kept
    for each in (
        {"signature": "records on the wire break it"},  # of a known failure
        ["partition_key", "XNAS.AAPL"],
        "https://host:8080/path@2 --seed 7 --history run.jsonl",
        {"seen": {"message_id": "1", "trace_id": "2"}},
    ):
        assert safe.redact(each) == each


def test_text_that_is_shown_hides_nothing_and_ends():
    shown = safe.text("a\x00b\x1b[31m\u202egnp.exe\u2066\u200b\ud800\ufeff\U000e0041")
    assert shown == ("a\\u0000b\\u001b[31m\\u202egnp.exe\\u2066\\u200b\\ud800\\ufeff\\U000e0041")
    large = safe.text("x" * 10_000_000)
    assert len(large) < 2 * safe.LONGEST
    assert large.endswith("(10000000 characters)")
    assert "hunter2" not in safe.text(
        "x" * (safe.LONGEST - 8) + " a://u:" + "hunter2" * 9999 + "@h"
    )
