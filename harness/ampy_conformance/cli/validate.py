"""`ampy-conform validate`: judge records that exist, in files, on standard input, on a broker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance import validation
from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ampy_conformance.validation import Item, Judged, Summary

MARKS = {"fail": "[bold red]fail[/]", "warn": "[yellow]warn[/]", "info": "[dim]info[/]"}


@click.command(
    epilog="""\b
Examples:
  ampy-conform validate record.json captures/            files, and all below a folder
  my-tool dump | ampy-conform validate -                 JSON Lines on standard input, a stream
  ampy-conform validate --broker nats://host:4222 --subject 'ampy.prod.>' --max-count 10000
\b
A record is a JSON object with topic, headers and payload_b64 (the bytes on the wire), or
payload_json, or without payload: then all but the payload is judged. A .jsonl file, a JSON
list, standard input and each stream of a broker are streams: their records are judged together
too (ids, runs, keys of one entity, times within a key).
\b
Exit codes: 0 accepted (warnings may stand), 1 refused, 2 usage or an input that is no envelope,
3 the broker did not answer, 4 there was no record."""
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--broker", "url", help="Read the records of this NATS server instead (read-only).")
@click.option("--subject", help="Subject to read there, e.g. 'ampy.prod.>'.")
@click.option("--max-count", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--max-seconds", type=click.FloatRange(0.1), default=60.0, show_default=True)
@click.option(
    "--stream/--no-stream", "stream", default=None, help="Judge all together, or each alone."
)
@click.option("--lenient", is_flag=True, help="Grade as a consumer has to: tolerate +00:00 times.")
@click.option("--strict", is_flag=True, help="Warnings refuse, too.")
@click.option(
    "--max-findings",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="Show so many; 0 all.",
)
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option("--format", "form", type=click.Choice(("text", "json", "jsonl")), default="text")
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
def command(
    paths: tuple[Path, ...],
    url: str | None,
    subject: str | None,
    max_count: int,
    max_seconds: float,
    stream: bool | None,
    lenient: bool,
    strict: bool,
    max_findings: int,
    spec: Path | None,
    form: str,
    as_json: bool,
) -> int:
    """Validate records against the contract: topic, headers, key against payload, payload."""
    contract = contracts.load(spec)
    form = "json" if as_json else form
    items = _counted(_items(paths, url, subject, max_count, max_seconds))
    summary = validation.Summary()
    show = {"text": _text, "json": _json, "jsonl": _jsonl}[form]
    show(validation.judge(items, contract, lenient=lenient, stream=stream), summary, max_findings)
    return summary.exit_code(strict=strict)


def _items(
    paths: tuple[Path, ...], url: str | None, subject: str | None, count: int, seconds: float
) -> Iterator[Item]:
    if url is not None:
        if paths or not subject:
            raise UsageError("--broker needs --subject (e.g. 'ampy.prod.>'), and no files beside")
        yield from validation.on_broker(url, subject, count, seconds)
        return
    if subject:
        raise UsageError("--subject needs --broker, the URL of the server to read")
    if not paths and sys.stdin.isatty():
        raise UsageError(
            "name files or folders, pipe JSON Lines to standard input, or use --broker"
        )
    for path in paths or (Path("-"),):
        if str(path) == "-":
            source: IO[bytes] = sys.stdin.buffer
            yield from validation.lines(source, "stdin")
        else:
            yield from validation.files([path])


def _counted(items: Iterable[Item]) -> Iterator[Item]:
    """Show on a terminal how many records were read, once it takes a while."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} records"), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with progress:
        task = progress.add_task("", total=None)
        for number, each in enumerate(items, 1):
            if number % 200 == 0:
                progress.update(task, completed=number)
            yield each


def _text(judged: Iterable[Judged], summary: Summary, limit: int) -> None:
    console = Console(soft_wrap=True, highlight=False)
    shown = 0
    for each in judged:
        summary.add(each)
        for text in _told(each):
            shown += 1
            if limit == 0 or shown <= limit:
                console.print(f"{escape(each.where)}: {text}")
    if 0 < limit < shown:
        console.print(f"[dim]... and {shown - limit} more; --max-findings shows them[/]")
    if summary.clauses:
        console.print(_by_clause(summary))
    counts = ", ".join(f"{count} {name}" for name, count in sorted(summary.verdicts.items()))
    console.print(f"{summary.records} records: {counts or 'nothing was read'}")


def _told(each: Judged) -> Iterator[str]:
    if each.problem is not None:
        yield f"[bold red]unreadable[/] {escape(each.problem)}"
    for finding in each.findings:
        mark = MARKS[finding.severity]
        yield f"{mark} {finding.clause} ({finding.level}) {escape(finding.message)}"


def _by_clause(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("clause", "grade", "findings", "first seen at"):
        table.add_column(name, overflow="fold")
    for (clause, severity), count in sorted(summary.clauses.items()):
        first = escape(summary.first[clause, severity])
        table.add_row(clause, MARKS[severity], str(count), first)
    return table


def _rows(each: Judged) -> Iterator[dict[str, Any]]:
    if each.problem is not None:
        yield {"kind": "unreadable", "record": each.where, "message": each.problem}
    for finding in each.findings:
        yield {"kind": "finding", "record": each.where, **finding.row()}


def _json(judged: Iterable[Judged], summary: Summary, limit: int) -> None:
    rows: list[dict[str, Any]] = []
    for each in judged:
        summary.add(each)
        rows += [row for row in _rows(each) if limit == 0 or len(rows) < limit]
    click.echo(json.dumps({"summary": summary.row(), "findings": rows}, indent=2))


def _jsonl(judged: Iterable[Judged], summary: Summary, limit: int) -> None:  # noqa: ARG001
    for each in judged:
        summary.add(each)
        for row in _rows(each):
            click.echo(json.dumps(row))
    click.echo(json.dumps({"kind": "summary", **summary.row()}))
