"""Does a built site need the network? Prints what it would fetch, and exits with 1 then.

    python harness/docsite/offline.py SITE

Links that a reader may follow are no fetches; scripts, styles, fonts and pictures are.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

FETCHED = {
    "script": ("src",), "img": ("src", "srcset"), "iframe": ("src",), "source": ("src", "srcset"),
    "link": ("href",), "video": ("src", "poster"), "audio": ("src",), "object": ("data",),
    "embed": ("src",), "form": ("action",),
}  # fmt: skip
# These only name; nothing is fetched.
NAMES = {"canonical", "alternate", "author", "license", "next", "prev"}
AWAY = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
STYLE = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._style = tag == "style"
        self.found += STYLE.findall(values.get("style", ""))
        if tag == "link" and set(values.get("rel", "").split()) & NAMES:
            return
        self.found += [
            values[name] for name in FETCHED.get(tag, ()) if AWAY.match(values.get(name, ""))
        ]

    def handle_data(self, data: str) -> None:
        if self._style:
            self.found += STYLE.findall(data)


def fetches(site: Path) -> list[str]:
    """Return "file: address" for everything that a page or style of the site fetches from away."""
    found = []
    for path in sorted(site.rglob("*")):
        if path.suffix == ".html":
            page = _Page()
            page.feed(path.read_text("utf-8"))
            addresses = page.found
        elif path.suffix == ".css":
            addresses = STYLE.findall(path.read_text("utf-8"))
        else:
            continue
        found += [f"{path.relative_to(site)}: {each}" for each in addresses]
    return found


if __name__ == "__main__":
    away = fetches(Path(sys.argv[1]))
    print("\n".join(away) or "the site fetches nothing from the network")
    sys.exit(1 if away else 0)
