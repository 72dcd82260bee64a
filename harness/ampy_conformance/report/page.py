"""Pages of HTML that are whole by themselves: style and script within, nothing to fetch.

The policy in each page's head lets the browser load nothing at all and run only the one script that
is in it, known by its hash: markup that a binding smuggled in would be dead even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

import jinja2

from ampy_conformance._layout import PACKAGE

FOLDER = PACKAGE / "report" / "pages"
MARKS = {
    "pass": "\N{CHECK MARK}", "fail": "\N{MULTIPLICATION SIGN}", "error": "!", "warn": "\N{WHITE UP-POINTING TRIANGLE}",
    "known failure": "\N{DAGGER}", "inconclusive": "?", "not run": "\N{EN DASH}", "not claimed": "\N{EMPTY SET}",
    "not selected": "\N{MIDDLE DOT}", "not verified": "\N{WHITE CIRCLE}", "attested": "\N{SECTION SIGN}",
}  # fmt: skip
MEANS = {
    "pass": "judged, and kept",
    "fail": "proof that it is broken",
    "error": "harness, driver or broker failed: no verdict",
    "warn": "a SHOULD is not kept, or a tolerated reading was seen",
    "known failure": "fails as an accepted, dated entry says",
    "inconclusive": "no proof either way",
    "not run": "cannot be run here",
    "not claimed": "the binding does not claim it",
    "not selected": "left out of this run",
    "not verified": "the suite has no test for it",
    "attested": "no test can show it",
}


def render(template: str, **facts: Any) -> str:
    """Return a page made of a template in `pages/`; every value is escaped as it is put in."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            style=style,
            script=script,
            policy=policy,
            marks=MARKS,
            means=MEANS,
            **facts,
        )
    )


def slug(text: str) -> str:
    """Return text that can be an id or class in a page; unlike texts get unlike ones."""
    kept = "".join(each if each.isascii() and each.isalnum() else "-" for each in text)
    same = kept == text.replace(" ", "-")
    return kept if same else f"{kept[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["slug"] = slug
    return environment


@cache
def _asset(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def _hash(text: str) -> str:
    """Return what the policy calls a text between the tags: its SHA-256."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
