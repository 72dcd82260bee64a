"""The canonical report, and JUnit made of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ampy_conformance.report import junit, lines

CASE = {
    "title": "t",
    "clauses": {"HDR-01": "fail"},
    "outcome": "fail",
    "says": "HDR-01: seen \x00\x1b <&> \ud800 ]]>",
    "expected": "an id",
    "seen": None,
    "blames": "HDR-01",
    "notes": [],
    "seconds": 0.1,
    "transcript": [],
}
END = {
    "verdict": "v", "exit": 1, "counts": {}, "profiles": {}, "stale": [], "trouble": None,
    "seconds": 1.0,
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """Write a whole report."""
    target = tmp_path / "report.jsonl"
    writer = lines.Writer(target)
    started = "2030-01-01T00:00:00+00:00"
    writer.write("run", schema=1, driver={"connectable": "x"}, broker={}, seed=1, started=started)
    writer.write("start", case="a::b")
    writer.write("case", id="a.py::b[1]", **CASE)
    writer.write("case", id="a.py::c", **{**CASE, "outcome": "pass", "blames": None, "says": ""})
    writer.write("case", id="a.py::d", **{**CASE, "outcome": "inconclusive", "blames": None})
    writer.write("case", id="a.py::e", **{**CASE, "outcome": "not claimed", "blames": None})
    writer.write("clause", id="HDR-01", outcome="fail", level="MUST", text="t", section=["6"])
    writer.end(**END)
    return target


def test_it_is_read_back(path):
    report = lines.read(path)
    assert len(report.cases) == 4
    assert report.clauses["HDR-01"]["outcome"] == "fail"
    assert report.end["exit"] == 1


def test_every_cut_is_noticed(path):
    raw = path.read_bytes()
    for end in range(0, len(raw) - 1, 37):
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
    with pytest.raises(lines.CorruptReport, match="schema 9"):
        lines.read(path)


def test_junit_is_well_formed_whatever_was_seen(path):
    (suite,) = ET.fromstring(junit.render(lines.read(path)))  # noqa: S314 (made by ourselves)
    found = {each.get("name"): [child.tag for child in each] for each in suite.iter("testcase")}
    assert len(found) == 4
    tags = sorted(tag for each in found.values() for tag in each)
    assert tags.count("failure") == 1
    assert tags.count("error") == 1
    assert tags.count("skipped") == 1
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("1", "1", "1")
    assert suite.get("tests") == "4"


def test_junit_tells_that_the_run_itself_failed(path):
    report = lines.read(path)
    report.end["trouble"] = "nobody answers"
    (suite,) = ET.fromstring(junit.render(report))  # noqa: S314 (as above)
    assert suite.get("errors") == "2"
