"""What a report keeps of a case that did not pass: enough to see what happened, never a payload."""

from __future__ import annotations

import re

import pytest
import test_certify

from ampy_conformance.report import formats


def certify(tmp_path, mutant, *more):
    return test_certify.certify(tmp_path, f"py:ampy_conformance.mutants.{mutant}:Driver", *more)


def failed(report):
    """Return the cases that failed."""
    return [each for each in report.cases if each["outcome"] == "fail"]


@pytest.mark.slow
@pytest.mark.parametrize("excerpts", [False, True])
def test_a_failed_case_has_its_history_and_its_records(tmp_path, excerpts):
    more = ["--payload-excerpts"] if excerpts else []
    done, report = certify(tmp_path, "idm_01_no_dedupe", "--clause", "IDM-01", *more)
    assert done.returncode == 1
    case = failed(report)[0]
    kinds = [each["kind"] for each in case["transcript"]]
    assert kinds.count("effect") >= 2
    assert case["wire"]
    for each in case["wire"]:
        assert each["topic"].startswith("ampy.")
        assert "message_id" in dict(each["headers"])
        assert set(each) - {"excerpt", "key"} == {
            "topic", "position", "stream", "headers", "size", "sha256"
        }  # fmt: skip
        assert ("excerpt" in each) == excerpts
        assert len(each.get("excerpt", "")) <= 64
    hashes = {each.get("body_hash") for each in case["transcript"]}
    assert hashes & {each["sha256"] for each in case["wire"]}
    passed = [each for each in report.cases if each["outcome"] == "pass"]
    assert not [each for each in passed if each["transcript"] or "wire" in each]


@pytest.mark.slow
def test_what_several_cases_looked_at_stands_there_once(tmp_path):
    done, report = certify(tmp_path, "hdr_01_random_uuid", "--group", "HDR")
    assert done.returncode == 1
    (case,) = [each for each in failed(report) if each["blames"] == "HDR-01"]
    assert case["transcript"] == []
    shared = report.shared[case["shared"]]
    seen = re.search(r"'([0-9a-f-]{36})'", case["seen"])
    assert seen
    assert seen[1] in {dict(each["headers"])["message_id"] for each in shared["wire"]}
    page = formats.load("html").render(report).decode()
    assert page.count(f">{seen[1]}</dd>") == 1
    assert f'href="#shared-{case["shared"]}"' in page


@pytest.mark.slow
def test_a_violation_under_a_fault_has_its_neighbours_and_the_fault(tmp_path):
    _, report = certify(
        tmp_path, "qos_02_acks_before_it_is_killed",
        "--faults", "kill-before-effect", "--case", "under_fault",
    )  # fmt: skip
    case = next(each for each in failed(report) if each["property"] == "lost")
    kinds = {each["kind"] for each in case["transcript"]}
    assert {"deliver", "fault", "audit"} <= kinds
    (focus,) = case["focus"]
    (lost,) = [each for each in case["transcript"] if each["seq"] == focus]
    mine = [each for each in case["transcript"] if each.get("body_hash") == lost["body_hash"]]
    # Which record was lost is chance: one that the binding published, or one that was put there raw.
    begun = {each["kind"] for each in mine}
    assert {"invoke", "ok"} <= begun or "inject" in begun
    groups = {each.get("group") for each in mine if each["kind"] == "deliver"}
    assert groups - {each.get("group") for each in mine if each["kind"] == "effect"}
    assert [each["seq"] for each in case["transcript"]] == sorted(
        {each["seq"] for each in case["transcript"]}
    )
    assert lost["message_id"] in {dict(each["headers"])["message_id"] for each in case["wire"]}
