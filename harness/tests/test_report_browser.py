"""The pages in a real browser: they fetch nothing, run nothing foreign, and anybody can use them.

Needs Chromium (or Chrome) on the PATH and the dependency group `browser`; skipped without them.
"""

from __future__ import annotations

import os
import shutil

import pytest
import saved

from ampy_conformance.report import formats, grid, lines

playwright = pytest.importorskip("playwright.sync_api", reason="no group `browser`: pip install")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no group `browser`")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOSTILE = "</script><script>window.broken=1;alert(1)</script><img src=x onerror=alert(2)>"
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser():
    """Start a browser without a window."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no browser: install Debian's `chromium`, or Chrome")
    # As root, as in containers, Chromium's sandbox does not start.
    options = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with playwright.sync_playwright() as player:
        found = player.chromium.launch(executable_path=program, args=options)
        yield found
        found.close()


class Visit:
    """A page that is looked at, and what it asked for or complained about."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.asked, self.said = [], []
        self.page.on("request", lambda each: self.asked.append(each.url))
        self.page.on("console", lambda each: self.said.append(each.text))
        self.page.on("pageerror", lambda each: self.said.append(str(each)))
        self.page.on("dialog", lambda each: (self.said.append(each.message), each.dismiss()))
        self.page.goto(path.as_uri())

    def shown(self):
        """Return the clauses that are to be seen."""
        return [
            each.inner_text() for each in self.page.locator(".clause:visible > summary .id").all()
        ]

    def names(self):
        return self.page.evaluate("document.activeElement.outerHTML")


@pytest.fixture
def visit(browser, tmp_path):
    """Return what opens the page of a report."""
    opened = []

    def go(cases=None, page=None, **options):
        path = tmp_path / "report.html"
        report = lines.read(saved.write(tmp_path / "report.jsonl", cases))
        if page == "matrix":
            path = tmp_path / "matrix.html"
            whole = grid.build([("one", None, report), ("two", None, report)])
            path.write_text(grid.to_html(whole), "utf-8")
        else:
            path.write_bytes(formats.load("html").render(report))
        opened.append(Visit(browser, path, **options))
        return opened[-1]

    yield go
    for each in opened:
        each.context.close()


@pytest.mark.parametrize("page", ["report", "matrix"])
def test_nothing_is_fetched_and_nothing_goes_wrong(visit, page):
    seen = visit(page=page)
    seen.page.wait_for_timeout(200)
    assert [each for each in seen.asked if not each.startswith("file:")] == []
    assert len(seen.asked) == 1
    assert seen.said == []


def test_what_a_binding_smuggled_in_does_not_run(visit):
    cases = [
        saved.case(
            f"test_{HOSTILE}", {"IDM-01": "fail"}, HOSTILE, seen=HOSTILE, expected=[HOSTILE],
            notes=[HOSTILE], transcript=[{**each, "topic": HOSTILE} for each in saved.EVENTS],
            wire=[{**saved.WIRE[0], "headers": [[HOSTILE, HOSTILE]]}],
        )
    ]  # fmt: skip
    seen = visit(cases)
    seen.page.wait_for_timeout(200)
    assert seen.said == []
    assert len(seen.asked) == 1
    assert seen.page.evaluate("window.broken") is None
    assert "onerror=alert(2)" in seen.page.locator("#failed").inner_text()


def test_the_policy_stops_what_is_put_in_afterwards(visit):
    """Were something not escaped, the browser would still refuse to run or fetch it."""
    seen = visit()
    seen.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x.png\">');"
        "const s = document.createElement('script'); s.textContent = 'window.broken = 1';"
        "document.body.append(s);"
    )
    seen.page.wait_for_timeout(200)
    assert seen.page.evaluate("window.broken") is None
    assert any("Content Security Policy" in each for each in seen.said)


def test_search_and_filters_leave_what_was_asked_for(visit):
    seen = visit()
    everything = seen.shown()
    assert len(everything) == len(saved.CASES) + len(saved.REASONS)
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("second effect")
    assert seen.shown() == ["IDM-01"]
    assert seen.page.locator("#shown").inner_text() == f"1 of {len(everything)} clauses"
    seen.page.get_by_role("button", name="Show all").click()
    assert seen.shown() == everything
    seen.page.locator("#f-profile").select_option("replay")
    assert seen.shown() == ["RPL-01"]
    seen.page.get_by_role("button", name="Show all").click()
    seen.page.get_by_label("pass 1").uncheck()
    assert "HDR-01" not in seen.shown()
    seen.page.locator(".tile", has_text="inconclusive").click()
    assert seen.shown() == ["ORD-01"]


def test_a_link_opens_what_it_leads_to(visit):
    seen = visit()
    seen.page.get_by_label("pass 1").uncheck()
    seen.page.evaluate("location.hash = 'clause-HDR-01'")
    seen.page.wait_for_timeout(100)
    assert seen.page.locator("#clause-HDR-01[open]").is_visible()


def test_the_keyboard_reaches_everything(visit):
    seen = visit()
    seen.page.keyboard.press("Tab")
    assert "Skip to the content" in seen.names()
    assert seen.page.locator(".skip").bounding_box()["x"] >= 0
    reached = set()
    for _ in range(200):
        seen.page.keyboard.press("Tab")
        name = seen.names()
        if "<body" in name:
            break
        reached.add(name)
    for wanted in (
        'id="q"',
        'id="f-profile"',
        "data-copy",
        "<summary",
        'data-only="fail"',
        "picture",
    ):
        assert any(wanted in each for each in reached), wanted
    summary = seen.page.locator("#clause-HDR-01 > summary")
    summary.focus()
    seen.page.keyboard.press("Enter")
    assert seen.page.locator("#clause-HDR-01[open]").count() == 1


@pytest.mark.parametrize("page", ["report", "matrix"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desktop"])
def test_nothing_sticks_out_and_axe_finds_no_barrier(visit, page, scheme, size):
    """Headings, labels, names, contrast and more, by the rules of axe-core, with all of it open."""
    seen = visit(page=page, viewport=size, color_scheme=scheme, bypass_csp=True)
    seen.page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    answer = axe.Axe().run(seen.page).response
    assert len(answer["passes"]) > 20
    found = answer["violations"]
    assert [(each["id"], [n["html"][:120] for n in each["nodes"][:2]]) for each in found] == []
    back = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(int(each) for each in back[4:-1].split(",")) < 3 * 128
    assert dark == (scheme == "dark")


def test_on_paper_what_did_not_pass_is_open_and_no_button_is_there(visit):
    seen = visit()
    seen.page.emulate_media(media="print")
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.page.locator("#failed details.case").evaluate_all("all => all.every((e) => e.open)")
    assert seen.page.locator("#open-inconclusive details.case").evaluate("(each) => each.open")
    assert seen.page.locator("button:visible, nav:visible, form:visible").count() == 0
    seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not seen.page.locator("#open-inconclusive details.case").evaluate("(each) => each.open")
    assert seen.page.pdf(format="A4").startswith(b"%PDF-")


def test_without_script_all_of_it_is_there(visit):
    seen = visit(java_script_enabled=False)
    text = seen.page.locator("body").inner_text()
    for each in (*saved.TEXTS, "not conformant: core", "a duplicate message_id was handled again"):
        assert each in text, each
