"""`ampy-conform report render`: a saved report in another form."""

from __future__ import annotations

from pathlib import Path

import click

from ampy_conformance._errors import UsageError
from ampy_conformance.cli.report import _common
from ampy_conformance.report import formats


@click.command(
    epilog="""\b
Examples:
  ampy-conform report render nats.jsonl -o nats.html
  ampy-conform report render nats.jsonl --format markdown >> "$GITHUB_STEP_SUMMARY"
  ampy-conform report render nats.jsonl --format html,junit,csv --into out/
  ampy-conform report render --list
\b
Exit codes: 0 written, 2 usage, or no whole report."""
)
@click.argument("report", type=_common.REPORT, required=False)
@click.option("--format", "wanted", help="Formats, comma-separated; otherwise from --out's name.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, allow_dash=True), help="File to write."
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder to write to, each format under the report's own name.",
)
@click.option("--list", "only_list", is_flag=True, help="List the formats.")
def command(
    report: Path | None, wanted: str | None, out: Path | None, into: Path | None, only_list: bool
) -> int:
    """Render a report for a browser, a pull request, a CI system, a spreadsheet or a badge.

    Every rendering is made of the report's lines alone, and shows nothing that could do harm.
    """
    if only_list:
        for each in map(formats.load, formats.names()):
            click.echo(f"{each.name:<10} {each.suffix:<12} {each.what}")
        return 0
    if report is None:
        raise UsageError(
            "name the report to render, e.g. nats.jsonl; `certify --report` writes one"
        )
    chosen = _formats(wanted, out)
    whole = _common.read(report)
    if into is not None:
        stem = "report" if str(report) == "-" else report.stem
        for each in chosen:
            _common.write(each.render(whole), into / f"{stem}{each.suffix}")
        return 0
    if len(chosen) > 1:
        raise UsageError("several formats need --into FOLDER")
    _common.write(chosen[0].render(whole), out)
    return 0


def _formats(wanted: str | None, out: Path | None) -> list[formats.Format]:
    """Return the formats that were asked for; by the name of the output where none was named."""
    if wanted:
        return [formats.load(each.strip()) for each in wanted.split(",")]
    if out is None or str(out) == "-":
        raise UsageError(f"say which --format: {', '.join(formats.names())}")
    return [formats.of_file(out)]
