"""Hook of MkDocs: puts the pages that are made from the spec among the written ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pages
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

FOLDERS = ("clauses", "domains")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages, and list those of a folder where the navigation names the folder."""
    made = pages.build()
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    nav = [_entry(each, made) for each in config.nav or ()]
    named = set(_targets(nav))
    rest = [
        each.src_uri
        for each in files.documentation_pages()
        if each.src_uri not in named and each.src_uri not in made
    ]
    config.nav = [*nav, {"More": rest}] if rest else nav  # written, and not yet put in its place
    return files


def _targets(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        for target in entry.values() if isinstance(entry, dict) else (entry,):
            if isinstance(target, list):
                yield from _targets(target)
            else:
                yield str(target)


def _entry(entry: Any, made: dict[str, str]) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, target),) = entry.items()
    if isinstance(target, list):
        return {title: [_entry(each, made) for each in target]}
    folder = str(target).rstrip("/")
    if folder not in FOLDERS:
        return entry
    inside = [each for each in made if each.startswith(f"{folder}/") and "/index." not in each]
    return {title: [f"{folder}/index.md", *inside]}
