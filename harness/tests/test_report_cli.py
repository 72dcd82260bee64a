"""The verbs of `ampy-conform report`, through the front door."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import saved
from lxml import html

from ampy_conformance.report import lines

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*arguments, stdin=b""):
    """Run a verb of `report`; return its exit code, and both outputs as one text."""
    command = [sys.executable, "-m", "ampy_conformance", "report", *map(str, arguments)]
    done = subprocess.run(
        command, input=stdin, capture_output=True, timeout=60, check=False,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    text = (done.stdout + done.stderr).decode()
    assert "Traceback" not in text
    return done.returncode, text


def outcomes(**clauses):
    """Return cases, one for each clause: its name with _ for -, and its outcome."""
    return [
        saved.case(f"test_{name.lower()}", {name.replace("_", "-"): each}, "" if each == "pass" else
                   f"{name.replace('_', '-')}: it is {each}")
        for name, each in clauses.items()
    ]  # fmt: skip


# -- show and render ------------------------------------------------------------------------


def test_show_verifies_and_prints_the_summary(tmp_path):
    path = saved.write(tmp_path / "r.jsonl")
    code, text = run("show", path)
    assert code == 0
    assert "a duplicate message_id was handled again" in text
    assert "not conformant: core; not claimed: replay" in text
    assert run("show", path, "--exit-code")[0] == 1
    code, text = run("show", "-", "--json", stdin=path.read_bytes())
    assert (code, json.loads(text)["exit"]) == (0, 1)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda raw: raw[: len(raw) // 2], "is not JSON|no end line"),
        (lambda raw: raw.rsplit(b"\n", 2)[0] + b"\n", "no end line: the run was cut off"),
        (lambda raw: raw.replace(b"mine", b"ours"), "changed after it was written"),
        (lambda raw: raw.replace(b'"schema": 1', b'"schema": 2'), "install the matching version"),
        (lambda raw: raw + raw, "was changed|several files"),
        (lambda _: b"", "not a report of this suite"),
        (lambda _: b"\xff\xfe\x00", "is not JSON"),
        (lambda _: b"[" * 100_000, "is not JSON"),
        (lambda _: b"<html>", "is not JSON"),
        (lambda raw: raw.replace(b'"seconds": 12.5', b'"seconds": NaN'), "is not JSON"),
    ],
)
def test_what_is_no_whole_report_is_refused_in_one_sentence(tmp_path, spoil, says):
    path = saved.write(tmp_path / "r.jsonl")
    whole = saved.write(tmp_path / "whole.jsonl")
    path.write_bytes(spoil(path.read_bytes()))
    for arguments in (
        ("show", path), ("render", path, "--format", "csv"), ("diff", whole, path),
        ("matrix", path), ("merge", whole, path, "-o", tmp_path / "m.jsonl"), ("publish", tmp_path),
    ):  # fmt: skip
        code, text = run(*arguments)
        assert code == 2, arguments
        assert re.search(says, text), text
        assert len(text.strip().splitlines()) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.jsonl", "whole.jsonl"]


def test_render_takes_the_format_from_the_name_or_the_option(tmp_path):
    path = saved.write(tmp_path / "r.jsonl")
    assert run("render", path, "-o", tmp_path / "out.html") == (0, "")
    assert html.parse(tmp_path / "out.html").xpath("//h1")
    code, text = run("render", path, "--format", "csv")
    assert (code, len(list(csv.reader(text.splitlines())))) == (0, 1 + 9)
    assert run("render", path, "--format", "html,badge,junit", "--into", tmp_path) == (0, "")
    assert {each.name for each in tmp_path.iterdir()} == {
        "r.jsonl", "out.html", "r.html", "r.badge.json", "r.xml",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("render",), "name the report"),
        (("render", "r.jsonl"), "say which --format"),
        (("render", "r.jsonl", "--format", "pdf"), "there is no format 'pdf'; there are badge, "),
        (("render", "r.jsonl", "--format", "csv,html"), "--into"),
        (
            ("render", "r.jsonl", "--format", "csv", "-o", "no/such/x.csv"),
            "cannot write no/such/x.csv",
        ),
        (("show", "missing.jsonl"), "cannot read the report"),
        (("diff", "r.jsonl", "r.jsonl", "--fail-on", "worse"), "there is no kind 'worse'"),
        (("merge", "r.jsonl", "-o", "x"), "needs two reports"),
        (("merge", "r.jsonl", "r.jsonl", "-o", "r.jsonl"), "is one of the reports"),
        (("publish", "."), None),
    ],
)
def test_mistakes_of_the_user(tmp_path, monkeypatch, arguments, says):
    saved.write(tmp_path / "r.jsonl")
    monkeypatch.chdir(tmp_path)
    code, text = run(*arguments)
    assert code == (0 if says is None else 2)
    assert (says or "") in text


# -- diff -----------------------------------------------------------------------------------


def diff(tmp_path, old, new, *options, old_run=None, new_run=None, new_end=None):
    was = saved.write(tmp_path / "old.jsonl", old, run=old_run)
    now = saved.write(tmp_path / "new.jsonl", new, run=new_run, end=new_end)
    code, text = run("diff", was, now, "--json", *options)
    return code, json.loads(text)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("pass", "fail", "regressed"),
        ("warn", "fail", "regressed"),
        ("known failure", "fail", "regressed"),
        ("pass", "known failure", "regressed"),
        ("inconclusive", "fail", "newly failing"),
        ("not claimed", "fail", "newly failing"),
        ("fail", "pass", "fixed"),
        ("known failure", "warn", "fixed"),
        ("fail", "known failure", "excused"),
        ("fail", "inconclusive", "newly skipped"),
        ("pass", "not claimed", "newly skipped"),
        ("pass", "error", "newly skipped"),
        ("warn", "not run", "newly skipped"),
        ("not verified", "pass", "newly covered"),
        ("inconclusive", "warn", "newly covered"),
        ("pass", "warn", "weakened"),
        ("warn", "pass", "strengthened"),
        ("pass", "pass", None),
        ("fail", "fail", None),
        ("not run", "inconclusive", None),
    ],
)
def test_every_change_of_an_outcome_has_its_kind(tmp_path, before, after, kind):
    code, found = diff(tmp_path, outcomes(ORD_01=before), outcomes(ORD_01=after))
    if before == after == "fail":
        assert found["still_failing"] == ["ORD-01"]
    assert [(each["kind"], each["subject"]) for each in found["changes"]] == (
        [(kind, "ORD-01")] if kind else []
    )
    assert code == (1 if kind in ("regressed", "newly failing") else 0)


def test_words_of_the_old_report_are_said_to_be_its(tmp_path):
    """A clause that passes now has none of its own."""
    old, new = outcomes(ORD_01="fail", IDM_01="pass"), outcomes(ORD_01="pass", IDM_01="fail")
    says = {each["subject"]: each["says"] for each in diff(tmp_path, old, new)[1]["changes"]}
    assert says == {"ORD-01": "before: ORD-01: it is fail", "IDM-01": "IDM-01: it is fail"}


def test_only_the_kinds_that_were_asked_for_fail(tmp_path):
    old, new = outcomes(ORD_01="pass", IDM_01="fail"), outcomes(ORD_01="not run", IDM_01="pass")
    for fail_on, code in (
        ("regressed", 0), ("newly-skipped", 1), ("newly skipped, fixed", 1), ("any", 1), ("none", 0),
    ):  # fmt: skip
        assert diff(tmp_path, old, new, "--fail-on", fail_on)[0] == code, fail_on


def test_withdrawn_claims_and_unlike_contracts_are_seen(tmp_path):
    driver = {**saved.RUN["driver"], "capabilities": [], "version": "3.2"}
    contract = {**saved.RUN["contract"], "digest": "sha256:" + "1" * 64}
    code, found = diff(
        tmp_path, outcomes(ORD_01="pass"), outcomes(ORD_01="pass"),
        new_run={"driver": driver, "contract": contract},
        new_end={"profiles": {"core": saved.profile(claimed=False), "replay": saved.profile()}},
    )  # fmt: skip
    assert code == 1
    assert [(each["kind"], each["subject"]) for each in found["changes"]] == [
        ("withdrawn", "profile core"),
        ("withdrawn", "capability redrive"),
        ("contract changed", "contract"),
        ("setting changed", "binding"),
        ("newly claimed", "profile replay"),
    ]


def test_a_clause_that_came_or_went_or_says_something_else_is_seen(tmp_path):
    _, found = diff(
        tmp_path, outcomes(ORD_01="pass", OLD_01="pass"), outcomes(ORD_01="pass", NEW_01="fail")
    )
    assert {(each["kind"], each["subject"]) for each in found["changes"]} >= {
        ("clause removed", "OLD-01"), ("newly skipped", "OLD-01"),
        ("clause added", "NEW-01"), ("newly failing", "NEW-01"),
    }  # fmt: skip
    broken = outcomes(ORD_01="fail")
    other = [{**broken[0], "says": "ORD-01: in another way"}]
    _, found = diff(tmp_path, broken, other)
    assert [each["kind"] for each in found["changes"]] == ["failing otherwise"]


def test_a_new_run_without_a_verdict_is_no_success(tmp_path):
    end = {"exit": 3, "trouble": "the broker died"}
    was = saved.write(tmp_path / "old.jsonl", outcomes(ORD_01="pass"))
    now = saved.write(tmp_path / "new.jsonl", outcomes(ORD_01="pass"), end=end)
    code, text = run("diff", was, now)
    assert code == 3
    assert "without a verdict (the broker died)" in text
    proof = saved.write(tmp_path / "proof.jsonl", outcomes(ORD_01="fail"), end=end)
    assert run("diff", was, proof)[0] == 1
    for code in (4, 5):
        empty = saved.write(tmp_path / "empty.jsonl", outcomes(ORD_01="pass"), end={"exit": code})
        assert run("diff", was, empty)[0] == 3


def test_the_published_reports_can_be_compared():
    """Two bindings of one contract, by another hand each: what differs is told as text and Markdown."""
    old, new = (CHECKOUT / "reports" / f"ampy-bus-{each}-nats.jsonl" for each in ("python", "go"))
    if not old.exists():
        pytest.skip("no checkout: the published reports are not part of the package")
    whole = lines.read(old), lines.read(new)
    code, text = run("diff", old, new)
    worse = {
        name for name, each in whole[1].clauses.items()
        if each["outcome"] == "fail" and whole[0].clauses[name]["outcome"] == "pass"
    }  # fmt: skip
    told = {
        each.split()[1].rstrip(":") for each in text.splitlines() if each.startswith("regressed")
    }
    assert told == worse
    assert code == (1 if worse else 0)
    assert "| kind | what |" in run("diff", old, new, "--format", "markdown")[1]


# -- merge ----------------------------------------------------------------------------------


def shard(path, cases, collected=2, skipped=(), **fields):
    """Write the report of a part: `skipped` are the clauses that another part has."""
    run_line = {"selection": {"group": [path.stem]}, "collected": collected, "strict": False}
    run_line |= {"known_failures": [], "faults": [], **fields}
    return saved.write(path, cases, run=run_line, clauses=dict.fromkeys(skipped, "not selected"))


def test_shards_become_the_run_that_they_are_parts_of(tmp_path):
    first = shard(tmp_path / "a.jsonl", outcomes(ORD_01="pass"), skipped=["IDM-01"])
    second = shard(tmp_path / "b.jsonl", outcomes(IDM_01="pass"), skipped=["ORD-01"])
    code, text = run("merge", first, second, "-o", tmp_path / "whole.jsonl")
    assert code == 0, text
    whole = lines.read(tmp_path / "whole.jsonl")
    assert [each["id"] for each in whole.cases] == [
        "test_it.py::test_ord_01",
        "test_it.py::test_idm_01",
    ]
    assert {whole.clauses[each]["outcome"] for each in ("ORD-01", "IDM-01")} == {"pass"}
    assert whole.end["verdict"].startswith("conformant: core")
    assert whole.end["partial"] is False
    assert whole.end["profiles"]["core"]["must_passed"] == 2
    assert whole.end["seconds"] == 25.0


def test_a_part_of_the_suite_stays_a_part(tmp_path):
    first = shard(tmp_path / "a.jsonl", outcomes(ORD_01="pass"), collected=9, skipped=["IDM-01"])
    second = shard(tmp_path / "b.jsonl", outcomes(IDM_01="pass"), collected=9, skipped=["ORD-01"])
    code, text = run("merge", first, second, "-o", tmp_path / "whole.jsonl")
    assert code == 0
    assert "what was selected passed" in text
    assert lines.read(tmp_path / "whole.jsonl").end["partial"] is True


def test_a_failure_in_any_shard_fails_the_run(tmp_path):
    first = shard(tmp_path / "a.jsonl", outcomes(ORD_01="pass", IDM_01="fail"))
    second = shard(tmp_path / "b.jsonl", outcomes(ORD_01="pass", IDM_01="pass"))
    for order in ((first, second), (second, first)):
        assert run("merge", *order, "-o", tmp_path / "whole.jsonl")[0] == 1
        whole = lines.read(tmp_path / "whole.jsonl")
        assert whole.clauses["IDM-01"]["outcome"] == "fail"
        assert len(whole.cases) == 2


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"contract": {**saved.RUN["contract"], "digest": "sha256:" + "1" * 64}}, "unlike contract"),
        ({"suite": {**saved.RUN["suite"], "digest": "sha256:" + "1" * 64}}, "unlike suite"),
        ({"driver": {**saved.RUN["driver"], "version": "3.2"}}, "unlike version of the binding"),
        ({"broker": {**saved.RUN["broker"], "version": "9"}}, "unlike version of the broker"),
        ({"seed": 8}, "unlike seed"),
        ({"strict": True}, "unlike strictness"),
        ({"known_failures": [{"clause": "ORD-01", "issue": "https://x", "expires": "2031-01-01",
                              "signature": "s"}]}, "unlike known failures"),
    ],
)  # fmt: skip
def test_unlike_reports_are_not_merged(tmp_path, fields, what):
    first = shard(tmp_path / "a.jsonl", outcomes(ORD_01="pass"))
    second = shard(tmp_path / "b.jsonl", outcomes(IDM_01="pass"), **fields)
    code, text = run("merge", first, second, "-o", tmp_path / "whole.jsonl")
    assert code == 2
    assert what in text
    assert not (tmp_path / "whole.jsonl").exists()


# -- matrix and publish ---------------------------------------------------------------------


def test_the_matrix_has_every_binding_and_every_clause(tmp_path):
    one = saved.write(tmp_path / "one.jsonl", outcomes(ORD_01="pass", IDM_01="fail"))
    other = {**saved.RUN["driver"], "name": "theirs"}
    two = saved.write(
        tmp_path / "two.jsonl", outcomes(ORD_01="inconclusive"),
        run={"driver": other, "suite": {**saved.RUN["suite"], "digest": "sha256:" + "1" * 64}},
    )  # fmt: skip
    assert run("publish", tmp_path)[0] == 0
    page = html.parse(tmp_path / "matrix.html").getroot()
    rows = {
        each.xpath("string(.//*[@class='id'])"): [
            # The mark before the word is for the eye alone.
            "".join(cell.xpath(".//text()[not(ancestor::*[@aria-hidden])]")).strip()
            for cell in each.xpath("./td")
        ]
        for each in page.xpath("//table[@class='grid']/tbody/tr")
    }
    assert rows["ORD-01"] == ["pass", "inconclusive"]
    assert rows["IDM-01"] == ["fail", "absent"]
    assert rows["SEC-08"] == ["attested", "attested"]
    assert "unlike versions of the suite" in page.text_content()
    links = set(page.xpath("//a/@href"))
    assert {"one.html", "two.html", "one.html#clause-IDM-01"} <= links
    for link in links - {"#main"}:
        name, _, anchor = link.partition("#")
        target = html.parse(tmp_path / name).getroot()
        assert not anchor or target.xpath(f"//*[@id='{anchor}']"), link
    code, text = run("matrix", one, two)
    assert code == 0
    assert "| mine 3.1 |" in text
    assert "theirs 3.1" in text


def test_pages_that_are_not_current_are_told(tmp_path):
    saved.write(tmp_path / "one.jsonl")
    assert run("publish", tmp_path, "--check")[0] == 1
    assert run("publish", tmp_path)[0] == 0
    assert run("publish", tmp_path, "--check") == (0, "")
    saved.write(tmp_path / "one.jsonl", outcomes(ORD_01="pass"))
    code, text = run("publish", tmp_path, "--check")
    assert code == 1
    assert "one.html is not current" in text
    (tmp_path / "one.jsonl").unlink()
    code, text = run("publish", tmp_path)
    assert code == 2
    assert "there is no report" in text
