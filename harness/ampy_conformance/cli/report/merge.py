"""`ampy-conform report merge`: one report of the shards of one run."""

from __future__ import annotations

from pathlib import Path

import click

from ampy_conformance._errors import UsageError
from ampy_conformance.cli.report import _common
from ampy_conformance.report import lines, merge


@click.command(
    epilog="""\b
Examples:
  ampy-conform certify nats --group HDR --group TOP --seed 5 --report a.jsonl
  ampy-conform certify nats --group ORD --group IDM --seed 5 --report b.jsonl
  ampy-conform report merge a.jsonl b.jsonl -o whole.jsonl
\b
Exit codes: those of `certify`, for the run as a whole; 2 also where the reports are no shards
of one run: unlike suite, contract, binding, broker, seed, or known failures."""
)
@click.argument("reports", nargs=-1, required=True, type=_common.REPORT)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def command(reports: tuple[Path, ...], out: Path) -> int:
    """Merge the reports of one run's shards. They must have been made alike, to the digest."""
    if not out.parent.is_dir():
        raise UsageError(f"the folder of {out} does not exist; create it first")
    if out.resolve() in {each.resolve() for each in reports}:
        raise UsageError(f"{out} is one of the reports to merge; write to another file")
    merge.merge([(str(each), _common.read(each)) for each in reports], out)
    whole = lines.read(out)
    click.echo(f"{out}: {len(whole.cases)} cases of {len(reports)} shards; {whole.end['verdict']}")
    return int(whole.end["exit"])
