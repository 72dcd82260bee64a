"""Every rendering says what the report says, hides nothing, and is not led astray by what it shows."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import saved
from lxml import etree, html
from markdown_it import MarkdownIt
from rich.console import Console

from ampy_conformance.report import console, difference, facts, formats, grid, lines, safe

HERE = Path(__file__).parent
OUTCOMES = {
    "fail": 1, "known failure": 1, "inconclusive": 1, "not run": 1, "warn": 1, "pass": 1,
    "not claimed": 1, "attested": 1, "not verified": 1, "error": 0, "not selected": 0,
}  # fmt: skip
# One text with everything that has ever broken a report of this kind.
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x00\x1b[31m]]>\u202e\u2066 "
    "'\"&amp; | `code` **bold** [link](https://evil.example) ![i](https://evil.example/i.png) "
    "@somebody #17 www.evil.example https://evil.example/ {{ 7 * 7 }} [bold red]rich[/] \ud800\uffff "
    "nats://user:hunter2@host:4222 \n\r\n# heading\n- item\n\n    code"
)
INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\uffff]"
)


ENTRY = {
    "clause": "OBS-01", "issue": "https://example.org/17", "expires": "2030-01-31",
    "signature": "twice",
}  # fmt: skip
TRIAL = {
    "kind": "trial", "fault": "kill", "family": "process", "what": "SIGKILL", "fired": 3,
    "drained": True, "events": 17, "recovery_seconds": None, "seconds": 2.5,
    "chances": {"lost": 12}, "violations": {"lost": 1},
}  # fmt: skip


@pytest.fixture
def report(tmp_path):
    return lines.read(saved.write(tmp_path / "report.jsonl"))


def raw(path, change):
    """Write a report whose lines `change` has altered, past our own writer; return it as read."""
    saved.write(path)
    rows = [json.loads(each) for each in path.read_text("utf-8").splitlines()]
    rows = [change(each) for each in rows]
    text = b"".join(json.dumps(each).encode() + b"\n" for each in rows[:-1])
    rows[-1]["digest"] = hashlib.sha256(text).hexdigest()
    path.write_bytes(text + json.dumps(rows[-1]).encode() + b"\n")
    return lines.read(path)


def poisoned(text):
    """Return what puts a text wherever a binding, a broker or a test's author can put one."""

    def change(row):
        if row["kind"] == "run":
            row["driver"] |= {"connectable": text, "name": text, "version": text, "extra": [text]}
            row["broker"] |= {"version": text, "provenance": text}
            row["known_failures"] = [
                {"clause": text, "issue": text, "expires": "2031-01-01", "signature": text}
            ]
        elif row["kind"] == "case":
            row |= {"says": text, "expected": {text: [text]}, "seen": text, "notes": [text]}
            row["title"] = text
            row["transcript"] = [
                {**each, "topic": text, "actor": text, "group": text, "key": text,
                 "detail": {"fault": text, text: text}}
                for each in saved.EVENTS
            ]  # fmt: skip
            row["wire"] = [
                {**each, "topic": text, "headers": [[text, text]], "stream": text}
                for each in saved.WIRE
            ]
        elif row["kind"] == "clause":
            row |= {"text": text, "reason": text, "look": [text], "section": [text]}
        elif row["kind"] == "end":
            row |= {"verdict": text, "stale": [text], "trouble": text}
        return row

    return change


@pytest.fixture
def hostile(tmp_path):
    return raw(tmp_path / "hostile.jsonl", poisoned(HOSTILE))


def text_of(name, report):
    return formats.load(name).render(report).decode()


def every_rendering(report):
    """Return all that is ever shown of a report, by name."""
    shown = {name: text_of(name, report) for name in formats.names()}
    sink = io.StringIO()
    console.show(report, Console(file=sink, width=100))
    shown["console"] = sink.getvalue()
    whole = grid.build([("one", "one.html", report), ("two", None, report)])
    shown["matrix html"], shown["matrix md"] = grid.to_html(whole), grid.to_markdown(whole)
    return shown


# -- what each says -----------------------------------------------------------------------


def test_a_new_format_needs_a_file_and_nothing_else():
    found = [formats.load(each) for each in formats.names()]
    assert {each.name for each in found} >= {"html", "junit", "markdown", "csv", "badge"}
    assert len({each.suffix for each in found}) == len(found)
    assert all(each.what for each in found)


def test_nothing_is_hidden_at_the_top_of_the_page(report):
    page = html.fromstring(text_of("html", report))
    tiles = {
        each.get("data-only"): int(each.xpath("string(.//*[@class='count'])"))
        for each in page.xpath("//ul[@class='tally']//a")
    }
    assert tiles == OUTCOMES
    verdict = page.xpath("string(//div[contains(@class,'verdict')])")
    assert "not conformant: core; not claimed: replay" in verdict
    assert "exit 1" in verdict
    figures = " ".join(page.xpath("string(//dl[@class='figures'])").split())
    assert "2 of 6" in figures
    assert "5 of 6" in figures


def test_a_failure_stands_in_the_page_with_all_that_proves_it(report):
    page = html.fromstring(text_of("html", report))
    (failure,) = page.xpath("//article[@class='failure']")
    text = " ".join(failure.text_content().split())
    for said in (
        "IDM-01", "A duplicate has no second effect.", "section 6, 4.2", "Look there.",
        "a duplicate message_id was handled again",
        "ampy-conform certify exec:./mine --clause IDM-01 --case test_duplicates --seed 7",
        "message_id", "018f5e5c", "93 bytes", "the Kafka key", "SHA-256 aaaaaaaaaaaa",
    ):  # fmt: skip
        assert said in text, said
    seen = [each.text_content().strip() for each in failure.xpath(".//dl[@class='seen']//dd")]
    assert seen == ["1", "2"]
    rows = failure.xpath(".//table[@class='events']/tbody/tr")
    assert len(rows) == len(saved.EVENTS)
    (focus,) = [each for each in rows if each.get("class") == "focus"]
    assert focus.xpath("string(td[1])") == "7"
    assert "+2.022 s" in focus.text_content()


def test_the_picture_has_lanes_and_a_band_from_fault_to_healing(report):
    page = html.fromstring(text_of("html", report))
    (picture,) = page.xpath("//article//*[local-name()='svg']")
    names = [
        each.get("aria-label") or each.text for each in picture.xpath(".//g[@class='rail']/text")
    ]
    assert names == ["producer p1", "broker", "consumer risk s4", "harness"]
    (band,) = picture.xpath(".//g[@class='band']")
    assert "kill and restart" in band.text_content()
    (rect,) = band.xpath("./rect")
    start, end = float(rect.get("x")), float(rect.get("x")) + float(rect.get("width"))
    xs = {
        int(each.xpath("string(title)").partition(" ")[0]): float(each.xpath("circle")[0].get("cx"))
        for each in picture.xpath(".//g[starts-with(@class,'event')]")
    }
    assert sorted(xs) == [0, 1, 2, 5, 6, 7]
    assert xs[2] < start < end < xs[5]
    assert sorted(xs.values()) == [xs[each] for each in sorted(xs)]
    (focus,) = picture.xpath(".//g[contains(@class,'focus')]")
    assert focus.xpath("string(title)").startswith("7 ")


def test_every_case_and_clause_is_in_the_page(report):
    page = html.fromstring(text_of("html", report))
    found = {
        each.xpath("string(.//*[@class='id'])"): each.get("data-outcome")
        for each in page.xpath("//details[@class='clause']")
    }
    assert found == {name: each["outcome"] for name, each in report.clauses.items()}
    whole = page.text_content()
    for each in report.cases:
        assert each["says"].removeprefix(f"{each['blames']}: ") in whole
    unjudged = page.xpath("string(//section[@id='unjudged'])")
    assert "SEC-08 is attested" in unjudged
    assert "SLO-01" in unjudged


def test_known_failures_have_their_expiry_in_the_page(tmp_path):
    stale = {**ENTRY, "clause": "HDR-01"}
    path = saved.write(
        tmp_path / "r.jsonl",
        run={"known_failures": [ENTRY, stale]},
        end={"stale": ["HDR-01: passes now; remove or correct the entry"]},
    )
    page = html.fromstring(text_of("html", lines.read(path)))
    rows = [
        [cell.text_content().strip() for cell in each.xpath("./*")]
        for each in page.xpath("//section[@id='known']//tbody/tr")
    ]
    assert rows[0][0] == "OBS-01"
    assert rows[0][2] == "2030-01-31 (30 days after the run)"
    assert [each[4] for each in rows] == [
        "held",
        stale["clause"] + ": passes now; remove or correct the entry",
    ]


def test_the_page_can_fetch_nothing_and_run_only_its_own_script(report):
    page = html.fromstring(text_of("html", report))
    (policy,) = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    rules = dict(each.strip().partition(" ")[::2] for each in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (node,) = page.xpath(f"//{tag}")
        digest = hashlib.sha256(node.text.encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert not page.xpath("//@src | //link | //iframe | //object | //@style")
    assert all(each.startswith("#") for each in page.xpath("//@href"))


def test_headings_and_labels_are_those_of_an_orderly_page(report):
    page = html.fromstring(text_of("html", report))
    levels = [int(each.tag[1]) for each in page.xpath("//h1 | //h2 | //h3 | //h4")]
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert not set(page.xpath("//@aria-labelledby")) - set(ids)
    assert not {each[1:] for each in page.xpath("//@href")} - set(ids)
    for each in page.xpath("//input | //select"):
        assert each.xpath("ancestor::label"), etree.tostring(each)
    for each in page.xpath("//*[local-name()='svg']"):
        assert each.get("aria-label") or each.xpath("./title")


def test_markdown_has_verdict_denominators_failure_and_command(report):
    text = text_of("markdown", report)
    shown = "\n".join(each.text_content() for each in html.fragments_fromstring(
        f"<div>{MarkdownIt('gfm-like', {'linkify': False}).render(text)}</div>"))  # fmt: skip
    assert "mine 3.1 on nats 2.15.1 (embedded): not conformant" in shown
    assert "2 of 6 MUST of the claimed profiles passed, 5 were judged" in shown
    (head, _, counts) = [each for each in text.splitlines() if each.startswith("|")][:3]
    cells = [[cell.strip(" *") for cell in row.strip("|").split("|")] for row in (head, counts)]
    assert {name: int(count) for name, count in zip(*cells, strict=True)} == OUTCOMES
    for said in (
        "a duplicate message_id was handled again", "--case test_duplicates --seed 7",
        "control: nothing arrived", "toxiproxy is not there",
        "known failure: https://example.org/17, until 2031-02-03",
    ):  # fmt: skip
        assert said in shown.replace("\u200b", ""), said


def test_csv_has_every_clause(report):
    rows = list(csv.DictReader(io.StringIO(text_of("csv", report))))
    assert {each["clause"]: each["outcome"] for each in rows} == {
        name: each["outcome"] for name, each in report.clauses.items()
    }
    assert Counter(each["outcome"] for each in rows) == Counter(
        {name: count for name, count in OUTCOMES.items() if count}
    )
    (failed,) = [each for each in rows if each["outcome"] == "fail"]
    assert failed["says"] == "IDM-01: a duplicate message_id was handled again"


@pytest.mark.parametrize(
    ("end", "message", "colour"),
    [
        ({"exit": 0}, "conformant but for known failures, 2/6 MUST", "yellowgreen"),
        ({"exit": 0, "partial": True}, "selection passed, 2/6 MUST", "blue"),
        ({"exit": 1}, "not conformant, 2/6 MUST", "red"),
        ({"exit": 6}, "inconclusive, 2/6 MUST", "yellow"),
        ({"exit": 3}, "no verdict: harness", "lightgrey"),
        ({"exit": 4}, "nothing ran", "lightgrey"),
    ],
)
def test_the_badge_never_promises_more_than_the_run(tmp_path, end, message, colour):
    whole = lines.read(saved.write(tmp_path / "r.jsonl", end=end))
    badge = json.loads(text_of("badge", whole))
    assert (badge["schemaVersion"], badge["message"], badge["color"]) == (1, message, colour)


def schema():
    return etree.XMLSchema(etree.parse(HERE / "junit.xsd"))


def test_junit_is_what_ci_systems_read(report):
    document = etree.fromstring(text_of("junit", report).encode())
    schema().assertValid(document)
    (suite,) = document
    kinds = {each.get("name"): [child.tag for child in each] for each in suite.iter("testcase")}
    assert kinds == {
        "test_ids": [], "test_duplicates[by id]": ["failure"], "test_order": ["error"],
        "test_delivery": ["skipped"], "test_replay": ["skipped"], "test_topics": [],
        "test_counts": ["skipped"],
    }  # fmt: skip
    counts = [suite.get(each) for each in ("tests", "failures", "errors", "skipped")]
    assert counts == ["7", "1", "1", "3"]
    assert "TOP-01: an underscore is tolerated" in suite.findtext("system-out")


def test_junit_tells_that_the_run_itself_failed(tmp_path):
    whole = lines.read(saved.write(tmp_path / "r.jsonl", end={"trouble": "nobody answers"}))
    (suite,) = document = etree.fromstring(text_of("junit", whole).encode())
    schema().assertValid(document)
    assert suite.get("errors") == "2"


def test_junit_is_not_green_where_the_run_is_not(tmp_path):
    passed = [each for each in saved.CASES if each["outcome"] == "pass"]
    for code, errors in ((0, "0"), (5, "1"), (6, "1")):
        whole = lines.read(saved.write(tmp_path / "r.jsonl", passed, end={"exit": code}))
        (suite,) = document = etree.fromstring(text_of("junit", whole).encode())
        schema().assertValid(document)
        assert suite.get("errors") == errors


# -- what is hostile ----------------------------------------------------------------------


def test_nothing_hostile_is_shown_as_it_is(hostile):
    for name, text in every_rendering(hostile).items():
        assert not INVISIBLE.search(text.replace("\x1b", "") if name == "console" else text), name
        assert "hunter2" not in text, name
        assert re.search(r"(\\|&#92;)u202e", text) or name == "badge", name


def test_hostile_texts_do_not_become_markup(hostile):
    """Whatever it is made of, the page has one script, our own, and nothing that fetches or runs."""
    page = html.fromstring(text_of("html", hostile))
    assert len(page.xpath("//script")) == 1
    assert not page.xpath("//img | //iframe | //@onerror | //@src")
    assert not [each for each in page.xpath("//@*") if str(each).startswith("javascript:")]
    assert not [each for each in page.xpath("//@href") if not each.startswith("#")]
    assert "{{ 7 * 7 }}" in page.text_content()
    grid = html.fromstring(every_rendering(hostile)["matrix html"])
    assert len(grid.xpath("//script")) == 1
    assert not grid.xpath("//img | //@onerror")
    assert "alert(2)" in grid.text_content()


@pytest.mark.parametrize("name", ["markdown", "matrix md"])
def test_hostile_texts_do_not_become_markdown(hostile, name):
    text = every_rendering(hostile)[name]
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    inline = [child for each in tokens for child in each.children or ()]
    links = [each.attrs["href"] for each in inline if each.type == "link_open"]
    assert links == (["one.html"] if name == "matrix md" else [])
    assert not [each for each in inline if each.type == "image"]
    tags = {each.content for each in inline if each.type == "html_inline"}
    blocks = {
        line for each in tokens if each.type == "html_block" for line in each.content.split("\n")
    }
    assert tags <= {"<code>", "</code>", "<!-- -->"}
    assert all(
        not line or line.startswith(("<details>", "</details>", "<summary>")) for line in blocks
    )
    assert "<img" not in text
    assert not re.search(r"@\w", text.replace("&#64;", ""))
    headings = [each for each in tokens if each.type == "heading_open"]
    assert "\n# heading" not in text
    assert headings


def test_junit_is_well_formed_whatever_was_seen(hostile):
    document = etree.fromstring(text_of("junit", hostile).encode())
    schema().assertValid(document)
    assert "<script>alert(1)</script>" in "".join(document.itertext())


def test_a_spreadsheet_runs_nothing(tmp_path):
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1"):
        whole = raw(tmp_path / "r.jsonl", poisoned(text))
        for row in csv.reader(io.StringIO(text_of("csv", whole))):
            assert not [each for each in row if each.startswith(("=", "+", "-", "@", "\t"))]
            assert len(row) == 8


def test_ten_megabytes_are_shown_in_a_few_thousand_characters(tmp_path):
    huge = "A" * 10_000_000
    whole = raw(
        tmp_path / "huge.jsonl",
        lambda row: row | ({"seen": huge, "says": huge} if row.get("outcome") == "fail" else {}),
    )
    for name, text in every_rendering(whole).items():
        assert len(text) < 1_000_000, name
        assert not re.search(f"A{{{safe.LONGEST + 1}}}", text), name
    assert "10000000 characters" in text_of("html", whole)


def test_the_words_of_the_console_are_no_markup(hostile):
    assert "[bold red]rich[/]" in " ".join(every_rendering(hostile)["console"].split())


def test_a_difference_of_hostile_reports_is_shown_harmlessly(report, hostile):
    found = difference.compare(safe.report(report), safe.report(hostile))
    assert not INVISIBLE.search(json.dumps(found.row(), ensure_ascii=False).replace("\n", ""))
    assert "hunter2" not in json.dumps(found.row())


def test_excerpts_of_payloads_are_shown_only_where_the_report_has_them(tmp_path):
    wire = [{**saved.WIRE[0], "excerpt": "0a024142"}]
    asked = saved.case("test_ids", {"HDR-01": "fail"}, "HDR-01: no", wire=wire)
    plain = saved.case("test_ids", {"HDR-01": "fail"}, "HDR-01: no", wire=saved.WIRE)
    shown = [
        text_of("html", lines.read(saved.write(tmp_path / "r.jsonl", [each])))
        for each in (asked, plain)
    ]
    assert ["begins with 0a024142" in each for each in shown] == [True, False]


def test_words_of_a_verdict_follow_from_the_exit_code(tmp_path):
    for code, word in facts.WORDS.items():
        if code == 0:
            word = "conformant but for known failures"  # noqa: PLW2901 (which the sample has)
        assert facts.word(lines.read(saved.write(tmp_path / "r.jsonl", end={"exit": code}))) == word


def _places(value, path=()):
    """Yield every place in a JSON value, places of list items once."""
    yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _places(each, (*path, name))
    elif isinstance(value, list) and value:
        yield from _places(value[0], (*path, 0))


def _put(value, path, new):
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = _put(copy[path[0]], path[1:], new)
    return copy


ODD = (None, True, 5, -1.5, "", "x", [], [[]], {}, {"a": None}, [{"a": [None]}])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_what_is_read_can_be_shown_whatever_stands_anywhere(tmp_path, part):
    """A report with anything odd in any place is refused in one sentence, or every format shows it."""
    path = tmp_path / "r.jsonl"
    saved.write(
        path, run={"known_failures": [ENTRY], "faults": ["kill"], "merged": [{}]}, extra=[TRIAL]
    )
    rows = [json.loads(each) for each in path.read_text("utf-8").splitlines()]
    chosen = {}
    for number, row in enumerate(rows):
        for place in _places(row):
            chosen.setdefault((row["kind"], row.get("outcome") == "fail", place), number)
    shown = 0
    for index, ((_, _, place), number) in enumerate(chosen.items()):
        if index % 4 != part or not place:
            continue
        for odd in ODD:
            changed = [*rows]
            changed[number] = _put(rows[number], place, odd)
            text = b"".join(json.dumps(each).encode() + b"\n" for each in changed[:-1])
            if isinstance(changed[-1], dict):
                changed[-1] = {**changed[-1], "digest": hashlib.sha256(text).hexdigest()}
            text += json.dumps(changed[-1]).encode() + b"\n"
            with contextlib.suppress(lines.CorruptReport):
                report = lines.parse(text, "odd")
                every_rendering(report)
                difference.compare(safe.report(report), safe.report(report))
                shown += 1
    assert shown > 50


THROUGHPUT = {
    "kind": "load", "what": "throughput", "quick": True, "seed": 1, "target": 10_000, "in_flight": 64,
    "offered": {"rate": 1000.0, "mix": [{"bytes": 300, "share": 1.0}], "domains": ["bars"]},
    "sides": {"binding": "reference", "control": "nats-py <2.14>"}, "ratio": [0.8, 0.7, 0.9],
    "rates": {
        "binding": {"windows": [8000.0, 8100.0], "median": 8050.0},
        "control": {"windows": [10000.0, 10100.0], "median": 10050.0},
    },
}  # fmt: skip


def test_what_struck_is_in_the_page(tmp_path):
    whole = lines.read(saved.write(tmp_path / "r.jsonl", extra=[TRIAL]))
    page = html.fromstring(text_of("html", whole))
    rows = [
        [cell.text_content().strip() for cell in each.xpath("./*")]
        for each in page.xpath("//section[@id='faults']//tbody/tr")
    ]
    assert rows == [["kill", "SIGKILL", "3", "17", "\u2013", "yes"], ["lost", "12 (1)"]]


def test_load_runs_are_drawn(tmp_path):
    whole = lines.read(saved.write(tmp_path / "r.jsonl", extra=[THROUGHPUT]))
    page = html.fromstring(text_of("html", whole))
    figures = page.xpath("//section[@id='plots']//figure")
    assert [each.xpath("string(figcaption)") for each in figures] == [
        "Throughput by second",
        "Binding against the raw client",
    ]
    drawn = figures[0].xpath(".//*[local-name()='svg']")[0].text_content()
    assert "target 10000/s" in drawn
    assert "raw client: nats-py <2.14>" in drawn
    assert not html.fromstring(
        text_of("html", lines.read(saved.write(tmp_path / "p.jsonl")))
    ).xpath("//section[@id='plots']")
