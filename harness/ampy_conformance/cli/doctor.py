"""`ampy-conform doctor`: what is there, what is missing, and the command that brings it."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ampy_conformance._errors import HarnessError
from ampy_conformance.broker import kafka_jars
from ampy_conformance.suite import components


@click.command(
    epilog="""\b
Examples:
  ampy-conform doctor             everything that a run may need
  ampy-conform doctor --fetch     fetch Kafka's jars now (45 MB, once), then the same
\b
Exit codes: 0 the ordinary certification (nats, mem) can run, 3 it cannot, or the jars could not
be fetched. What is missing for anything else is no error."""
)
@click.option("--fetch", is_flag=True, help="Fetch Kafka's jars, where they are missing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(fetch: bool, as_json: bool) -> int:
    """Say which components are there, which are missing, and what brings each."""
    if fetch:
        _fetch()
    found = components.survey()
    if as_json:
        click.echo(json.dumps({"components": [each.facts() for each in found]}, indent=1))
    else:
        _show(found)
    return HarnessError.exit_code if components.broken(found) else 0


def _show(found: list[components.Component]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("component", "version", "wanted for", "missing? this brings it"):
        table.add_column(title, overflow="fold")
    for each in found:
        version = each.version or ("[bold red]missing[/]" if each.default else "[yellow]missing[/]")
        brings = each.brings.replace("[", r"\[")
        table.add_row(each.name, version, each.wanted_for, brings)
    console = Console()
    console.print(table)
    for each in found:
        if each.says:
            console.print(f"{each.name}: {each.says}", markup=False, highlight=False)
    console.print(
        f"fetched and built once, kept in {components.cache_folder()}",
        markup=False,
        highlight=False,
    )


def _fetch() -> None:
    lock = kafka_jars.locked()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task(f"Kafka {lock.kafka}", total=None)
        kafka_jars.fetch(
            lock, lambda done, whole: progress.update(task, completed=done, total=whole)
        )
    kafka_jars.check(lock)
