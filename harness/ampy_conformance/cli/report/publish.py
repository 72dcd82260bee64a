"""`ampy-conform report publish`: the pages of a folder of reports, and their matrix."""

from __future__ import annotations

from pathlib import Path

import click

from ampy_conformance._errors import UsageError
from ampy_conformance.cli.report import _common
from ampy_conformance.report import formats, grid, lines

PAGES = ("html", "badge")


@click.command(
    epilog="""\b
Examples:
  ampy-conform report publish reports/
  ampy-conform report publish reports/ --check       in CI: are the pages those of the reports?
\b
Exit codes: 0 written, or current; 1 with --check: something is not; 2 usage, or no whole report."""
)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--check", is_flag=True, help="Write nothing; fail where a page is not current.")
def command(folder: Path, check: bool) -> int:
    """Write a page and a badge for every report (*.jsonl) in FOLDER, and the matrix of them all.

    What certified nothing (`load --report`) gets a page and no column in the matrix.
    """
    reports = {each: lines.read(each) for each in sorted(folder.glob("*.jsonl"))}
    if not reports:
        raise UsageError(f"there is no report (*.jsonl) in {folder}; `certify --report` writes one")
    wanted: dict[Path, bytes] = {}
    for path, report in reports.items():
        for form in map(formats.load, PAGES):
            wanted[folder / f"{path.stem}{form.suffix}"] = form.render(report)
    whole = grid.build(
        [
            (path.stem, f"{path.stem}.html", report)
            for path, report in reports.items()
            if report.clauses
        ]
    )
    wanted[folder / "matrix.html"] = grid.to_html(whole).encode()
    wanted[folder / "matrix.md"] = grid.to_markdown(whole).encode()
    if check:
        stale = [each for each, text in wanted.items() if _content(each) != text]
        for each in stale:
            click.echo(f"{each} is not current; run `ampy-conform report publish {folder}`")
        return 1 if stale else 0
    for path, text in wanted.items():
        _common.write(text, path)
    click.echo(f"{folder}: {len(wanted)} pages of {len(reports)} reports")
    return 0


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
