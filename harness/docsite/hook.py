"""Hook of MkDocs: puts the pages that are made from the spec among the written ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pages
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

FOLDERS = ("clauses", "domains")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages, and list those of a folder where the navigation names the folder."""
    made = pages.build()
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    config.nav = [_entry(each, made) for each in config.nav or ()]
    return files


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
