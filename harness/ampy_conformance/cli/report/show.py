"""`ampy-conform report show`: the summary of a saved report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.console import Console

from ampy_conformance.cli.report import _common
from ampy_conformance.report import console as rendering

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    epilog="""\b
Examples:
  ampy-conform report show nats.jsonl
  ampy-conform report show nats.jsonl --exit-code    as a gate: exits as the run did
\b
Exit codes: 0 the report is whole (with --exit-code: that of its run), 2 it is not."""
)
@click.argument("report", type=_common.REPORT)
@click.option("--exit-code", "as_run", is_flag=True, help="Exit as the run of the report did.")
@click.option("--json", "as_json", is_flag=True, help="Print the last line of the report instead.")
def command(report: Path, as_run: bool, as_json: bool) -> int:
    """Verify a report and print its summary, as `certify` did."""
    whole = _common.read(report)
    if as_json:
        click.echo(json.dumps(whole.end))
    else:
        rendering.show(whole, Console())
    return int(whole.end["exit"]) if as_run else 0
