"""The documentation site: everything of the spec is on it, and it needs no network."""

from __future__ import annotations

import html
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ampy_conformance import contract as contracts
from ampy_conformance._layout import PACKAGE, room
from ampy_conformance.cli import cli
from ampy_conformance.contract import references
from ampy_conformance.faults import catalogue

CHECKOUT = Path(__file__).resolve().parents[2]
CONTRACT = contracts.load()


def beside(name):
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "harness/docsite" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages, offline = beside("pages"), beside("offline")


@pytest.fixture(scope="module")
def made():
    return pages.build()


def part(page, title):
    """Return the part of a page below a heading of the second level."""
    found = [each for each in page.split("\n## ")[1:] if each.split()[0] == title]
    assert len(found) == 1, title
    return found[0]


def test_each_clause_has_its_words_what_judges_it_and_what_proves_that(made):
    book = pages.Book(CONTRACT)
    judges = references.judges(room("conformance"), room("spec"))
    mutants = references.mutants(PACKAGE / "mutants")
    for clause in CONTRACT.clauses.values():
        text = part(made[f"clauses/{clause.group}.md"], clause.id)
        assert f"**{clause.level}**" in text
        assert f"section {', '.join(clause.section)}" in text
        assert pages.one_line(book.linked(clause.text, "../")) in text
        for each in judges.get(clause.id, ()):
            assert each.name in text
        for each in mutants:
            assert (f"`{each.name}`" in text) == (each.clause == clause.id)


def test_domains_headers_ambiguities_properties_faults_mutants_are_whole(made):
    for domain in CONTRACT.domains.values():
        text = made[f"domains/{domain.name}.md"]
        assert domain.key.clause in text
        assert all(f"`{each}`" in text for each in domain.payloads)
        assert text.count("\n### ") >= 3, "golden envelopes"
    assert "publishes | [yfinance-go]" in made["domains/bars.md"]
    for each in CONTRACT.headers:
        assert each.clause in part(made["headers.md"], each.name)
    for each in CONTRACT.ambiguities:
        part(made["ambiguities.md"], each)
    files = {each.stem for each in (room("spec") / "properties").glob("*.sql")} - {"views"}
    assert len(files) == 37
    for each in files:
        part(made["properties.md"], each)
    for each in catalogue.FAULTS:
        assert f"\n### {each} " in made["faults.md"]
    for each in references.mutants(PACKAGE / "mutants"):
        assert each.says in html.unescape(part(made["mutants.md"], each.name))


def test_every_verb_has_its_help_and_its_exit_codes(made):
    for name in cli.list_commands(None):
        assert f"\n## ampy-conform {name}\n" in made["commands.md"]
    assert "0 conformant" in made["exit-codes.md"]
    assert "ampy-conform golden`" in made["exit-codes.md"]  # where a group says it for its verbs


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a <b> & `c<d>`", "a &lt;b&gt; &amp; <code>c&lt;d&gt;</code>"),
        ("`a|b`", "<code>a&#124;b</code>"),
        ("`[x](y)` and `*`", "<code>&#91;x&#93;(y)</code> and <code>&#42;</code>"),
    ],
)
def test_words_of_the_spec_are_no_markup(text, shown):
    assert pages.prose(text) == shown


@pytest.mark.parametrize(
    ("page", "fetched"),
    [
        ('<script src="https://example.org/a.js"></script>', 1),
        ('<link rel="stylesheet" href="//example.org/a.css">', 1),
        ('<img src="HTTP://example.org/a.png">', 1),
        ("<style>@import 'https://example.org/a.css'; b { background: url(//c/d) }</style>", 2),
        ('<p style="background: url(https://example.org/a)">', 1),
        ('<a href="https://example.org/">read on</a><script src="a.js"></script>', 0),
        ('<link rel="canonical" href="https://example.org/">', 0),
    ],
)
def test_what_a_page_would_fetch_is_found(tmp_path, page, fetched):
    (tmp_path / "index.html").write_text(f"<html>{page}</html>", "utf-8")
    assert len(offline.fetches(tmp_path)) == fetched


@pytest.mark.slow
def test_the_site_builds_strictly_and_needs_no_network(made, tmp_path):
    pytest.importorskip("mkdocs", reason="the site needs the dependency group `docs`")
    pytest.importorskip("material", reason="the site needs the dependency group `docs`")
    site = tmp_path / "site"
    line = ["-m", "mkdocs", "build", "--strict", "-q", "-f", str(CHECKOUT / "mkdocs.yml")]
    done = subprocess.run(
        [sys.executable, *line, "-d", str(site)],
        check=False, capture_output=True, text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert offline.fetches(site) == []
    for each in (*made, *(path.name for path in (CHECKOUT / "docs").glob("*.md"))):
        assert (site / each.replace(".md", ".html")).is_file()
    assert 'id="ord-01"' in (site / "clauses" / "ORD.html").read_text("utf-8")
