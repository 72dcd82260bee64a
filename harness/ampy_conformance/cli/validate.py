"""`ampy-conform validate`: judge records that exist, in files, on standard input, on a broker."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ampy_conformance import contract as contracts
from ampy_conformance import validation
from ampy_conformance._errors import UsageError
from ampy_conformance.cli._numbers import FloatRange
from ampy_conformance.report import sarif

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ampy_conformance.validation import Item, Judged, Summary

COLOURS = {"fail": "bright_red", "unreadable": "bright_red", "warn": "yellow", "info": "cyan"}
# Findings in a text, unless the user says otherwise; data is never shortened by itself.
SHOWN = 50
# A progress line that comes and goes at once would only flicker.
QUIET_SECONDS = 2.0


@click.command(
    epilog="""\b
Examples:
  ampy-conform validate record.json captures/            files, and all below a folder
  my-tool dump | ampy-conform validate -                 JSON Lines on standard input, a stream
  ampy-conform validate --broker nats://host:4222 --subject 'ampy.prod.>' --max-count 10000
  ampy-conform validate captures/ --format sarif > findings.sarif      for code scanning
\b
A record is a JSON object with topic, headers and payload_b64 (the bytes on the wire), or
payload_json, or without payload: then all but the payload is judged. A .jsonl file, a JSON
list, standard input and each stream of a broker are streams: their records are judged together
too (ids, runs, keys of one entity, times within a key). Separate files are not, but for --stream.
\b
Exit codes: 0 accepted (warnings may stand), 1 refused, 2 usage or an input that is no envelope,
3 the broker did not answer, 4 there was no record."""
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--broker", "url", help="Read the records of this NATS server instead (read-only).")
@click.option("--subject", help="Subject to read there, e.g. 'ampy.prod.>'.")
@click.option(
    "--max-count",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Read at most so many records of the broker, the oldest first.",
)
@click.option(
    "--max-seconds",
    type=FloatRange(0.1),
    default=60.0,
    show_default=True,
    help="Read the broker for at most so long.",
)
@click.option(
    "--stream/--no-stream", "stream", default=None, help="Judge all together, or each alone."
)
@click.option("--lenient", is_flag=True, help="Grade as a consumer has to: tolerate +00:00 times.")
@click.option("--strict", is_flag=True, help="Warnings refuse, too.")
@click.option(
    "--max-findings",
    type=click.IntRange(0),
    help=f"Show so many, 0 for all; otherwise {SHOWN} as text, and all as JSON.",
)
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option(
    "--format", "form", type=click.Choice(("text", "json", "jsonl", "sarif")), default="text"
)
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
    max_findings: int | None,
    spec: Path | None,
    form: str,
    as_json: bool,
) -> int:
    """Validate records against the contract: topic, headers, key against payload, payload."""
    contract = contracts.load(spec)
    form = "json" if as_json else form
    if max_findings is None:
        max_findings = SHOWN if form == "text" else 0
    items = _counted(_items(paths, url, subject, max_count, max_seconds))
    summary = validation.Summary()
    judged = _summed(validation.judge(items, contract, lenient=lenient, stream=stream), summary)
    if form == "sarif":
        _sarif(judged, summary, max_findings, contract)
    else:
        {"text": _text, "json": _json, "jsonl": _jsonl}[form](judged, summary, max_findings)
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


def _summed(judged: Iterable[Judged], summary: Summary) -> Iterator[Judged]:
    for each in judged:
        summary.add(each)
        yield each


def _counted(items: Iterable[Item]) -> Iterator[Item]:
    """Show on a terminal how many records were read, once it takes a while."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} records"), TimeElapsedColumn())
    progress = Progress(
        *columns,
        console=console,
        transient=True,
        # What goes to a file or a pipe must get there, and not between the lines of progress.
        redirect_stdout=sys.stdout.isatty(),
    )
    task, began, shown = progress.add_task("", total=None), time.monotonic(), False
    try:
        for number, each in enumerate(items, 1):
            if number % 200 == 0:
                progress.update(task, completed=number)
            if not shown and time.monotonic() - began > QUIET_SECONDS:
                progress.start()
                shown = True
            yield each
    finally:
        if shown:
            progress.stop()


def _text(judged: Iterable[Judged], summary: Summary, limit: int) -> None:
    shown = 0
    for each in judged:
        for grade, says in _told(each):
            shown += 1
            if limit == 0 or shown <= limit:
                click.echo(f"{each.where}: {_coloured(grade)} {says}")
    if 0 < limit < shown:
        click.echo(f"... and {shown - limit} more; --max-findings 0 shows all")
    if summary.clauses:
        click.echo(f"\n{'clause':<22} {'grade':<5} {'findings':>8}  first seen at")
    for (clause, severity), count in sorted(summary.clauses.items()):
        first = summary.first[clause, severity]
        click.echo(f"{clause:<22} {_coloured(severity, 5)} {count:>8}  {first}")
    counts = ", ".join(f"{count} {name}" for name, count in sorted(summary.verdicts.items()))
    noun = "record" if summary.records == 1 else "records"
    click.echo(f"{summary.records} {noun}: {counts or 'nothing was read'}")


def _coloured(grade: str, width: int = 0) -> str:
    return click.style(f"{grade:<{width}}", fg=COLOURS[grade])


def _told(each: Judged) -> Iterator[tuple[str, str]]:
    if each.problem is not None:
        yield "unreadable", each.problem
    for finding in each.findings:
        yield finding.severity, f"{finding.clause} ({finding.level}) {finding.message}"


def _rows(judged: Iterable[Judged], limit: int) -> Iterator[dict[str, Any]]:
    """Yield what was found as data, at most `limit` rows (0: all), but see all of it."""
    shown = 0
    for each in judged:
        rows: list[dict[str, Any]] = [
            {"kind": "finding", "record": each.where, **finding.row()} for finding in each.findings
        ]
        if each.problem is not None:
            rows.append({"kind": "unreadable", "record": each.where, "message": each.problem})
        for row in rows:
            shown += 1
            if limit == 0 or shown <= limit:
                yield row


def _json(judged: Iterable[Judged], summary: Summary, limit: int) -> None:
    rows = list(_rows(judged, limit))
    click.echo(json.dumps({"summary": summary.row(), "findings": rows}, indent=2))


def _sarif(
    judged: Iterable[Judged], summary: Summary, limit: int, contract: contracts.Contract
) -> None:
    """Print a SARIF log; what is no envelope breaks no clause, but is an error of its own."""
    results = []
    for row in _rows(judged, limit):
        unreadable = row["kind"] == "unreadable"
        file = Path(sarif.file_of(row["record"])).exists()
        results.append(
            sarif.Result(
                rule="unreadable" if unreadable else row["clause"],
                grade="error" if unreadable else row["severity"],
                message=row["message"],
                where=row["record"],
                part=row.get("where", ""),
                is_file=file,
            )
        )
    rules = [
        sarif.Rule(
            each.id, each.text, " ".join(each.look), {"level": each.level, "section": each.section}
        )
        for each in contract.clauses.values()
    ]
    rules.append(sarif.Rule("unreadable", "The input is an envelope.", "See `validate --help`."))
    click.echo(json.dumps(sarif.log(rules, results, summary=summary.row()), indent=2))


def _jsonl(judged: Iterable[Judged], summary: Summary, limit: int) -> None:
    for row in _rows(judged, limit):
        click.echo(json.dumps(row))
    click.echo(json.dumps({"kind": "summary", **summary.row()}))
