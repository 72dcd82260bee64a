"""`ampy-conform report matrix`: bindings against clauses, from several reports."""

from __future__ import annotations

from pathlib import Path

import click

from ampy_conformance.cli.report import _common
from ampy_conformance.report import grid

RENDERED = {".html": grid.to_html, ".md": grid.to_markdown}


@click.command(
    epilog="""\b
Examples:
  ampy-conform report matrix reports/*.jsonl -o matrix.html
  ampy-conform report matrix nats.jsonl kafka.jsonl >> "$GITHUB_STEP_SUMMARY"
\b
A report's column leads to its own page where NAME.html lies beside the matrix (`report publish`
writes all of them).
\b
Exit codes: 0 written, 2 usage, or no whole report."""
)
@click.argument("reports", nargs=-1, required=True, type=_common.REPORT)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="File to write: .html, otherwise Markdown."
)
def command(reports: tuple[Path, ...], out: Path | None) -> int:
    """Show what became of every clause in several reports, side by side."""
    suffix = ".html" if out is not None and out.suffix == ".html" else ".md"
    folder = None if out is None else out.parent
    rows = [(each.stem, _page(each, folder), _common.read(each)) for each in reports]
    _common.write(RENDERED[suffix](grid.build(rows)).encode(), out)
    return 0


def _page(report: Path, folder: Path | None) -> str | None:
    """Return the link to a report's own page, None where there is none beside the matrix."""
    name = f"{report.stem}.html"
    return name if folder is not None and (folder / name).is_file() else None
