"""`ampy-conform selftest`: prove that the suite can fail."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ampy_conformance._errors import UsageError
from ampy_conformance._layout import PACKAGE
from ampy_conformance.cli._progress import Lines
from ampy_conformance.contract import references
from ampy_conformance.selftest import peers, runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ampy_conformance.contract.references import MutantRef
    from ampy_conformance.selftest.runner import Kill

# A run of one mutant uses a core for about a third of its time.
JOBS = 2 * (os.cpu_count() or 2)


@click.command(
    epilog="""\b
Examples:
  ampy-conform selftest                                   all of it: ten to twenty minutes on two cores
  ampy-conform selftest --mutant slo-01-adds-60-ms        one planted bug
  ampy-conform selftest --shard 1/3 --json                a third of it, for a CI job
\b
Exit codes: 0 every mutant was killed by its clause for its reason, every degenerate peer ended as it
must, and nothing was held against a correct binding;
1 the suite missed one, 2 usage,
4 the shard is empty."""
)
@click.option(
    "--mutant",
    "names",
    multiple=True,
    help="Only this mutant, peer or correct binding (repeatable).",
)
@click.option("--seed", type=int, help="Seed of all random choices; printed, new each time.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=JOBS,
    show_default=True,
    help="How many run at a time; most of them wait most of the time.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Only part I of N, for CI jobs side by side; together they are everything.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the kill matrix as JSON.")
@click.option("--list", "only_list", is_flag=True, help="List mutants and peers.")
def command(
    names: tuple[str, ...],
    seed: int | None,
    jobs: int,
    shard: str | None,
    as_json: bool,
    only_list: bool,
) -> int:
    """Prove that the suite can fail, and that it accuses nobody who is right.

    Runs planted bugs (mutants), degenerate peers and the correct reference bindings against the
    suite, and prints the kill matrix.
    """
    found = references.mutants(PACKAGE / "mutants")
    everything = runner.work(found, peers.PEERS)
    for each in names:
        if each not in {one.name for one in everything}:
            raise UsageError(
                f"there is no mutant {each!r}; `ampy-conform selftest --list` names them"
            )
    if only_list:
        _list(found)
        return 0
    wanted = [each for each in everything if not names or each.name in names]
    if shard is not None:
        wanted = runner.shard(wanted, *_shard(shard))
    if not wanted:
        click.echo(f"shard {shard} holds nothing")
        return 4
    seed = secrets.randbelow(2**31) if seed is None else seed
    began = time.monotonic()
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("planted bugs", total=len(wanted))
        lines = Lines()

        def done(kill: Kill) -> None:  # called by several threads
            progress.advance(task)
            if not console.is_terminal:
                lines.tell(f"{progress.tasks[0].completed:.0f} of {len(wanted)}")
            if not kill.killed:
                progress.console.print(f"[red]missed[/] {kill.name}: {escape(kill.why)}")

        ran = runner.run(wanted, seed, jobs, done)
    ran.sort(key=lambda each: (each[0].kind, each[0].name))
    kills = [kill for each, kill in ran if each.kind == "mutant"]
    ended = [kill for each, kill in ran if each.kind != "mutant"]
    seconds = time.monotonic() - began
    if as_json:
        rows = [dataclasses.asdict(each) for each in (*kills, *ended)]
        facts = {"seed": seed, "jobs": jobs, "shard": shard, "seconds": round(seconds, 1)}
        click.echo(json.dumps({**facts, "kills": rows}))
    else:
        _show(kills, ended, seed, seconds)
    return 0 if all(kill.killed for _, kill in ran) else 1


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise UsageError(f"--shard {text!r} is not of the form I/N with I from 1 to N, as in 2/3")


def _list(found: Sequence[MutantRef]) -> None:
    for mutant in found:
        click.echo(f"{mutant.name:<44} {mutant.clause:<20} {mutant.says}")
    for peer in peers.PEERS:
        click.echo(f"{peer.name:<44} {'peer':<20} {peer.what}")
    for name in (*runner.CORRECT, f"{runner.LOADED_CORRECT}-under-load"):
        click.echo(f"{name:<44} {'correct':<20} nothing may be held against it")


def _looks(kill: Kill) -> str:
    return "" if kill.looks == 1 else " [dim](2nd look)[/]"


def _show(kills: Sequence[Kill], ended: Sequence[Kill], seed: int, seconds: float) -> None:
    console = Console()
    table = Table(title="Kill matrix", box=None, header_style="dim", title_justify="left")
    for name in ("mutant", "breaks", "killed", "says", "hit besides", "s"):
        table.add_column(name, overflow="fold")
    for (name, target, killed, besides), each in zip(runner.matrix(kills), kills, strict=True):
        mark = ("[green]yes[/]" if killed else "[bold red]NO[/]") + _looks(each)
        table.add_row(
            name, target, mark, escape(each.why), " ".join(besides), f"{each.seconds:.1f}"
        )
    if kills:
        console.print(table)
    if ended:
        table = Table(
            title="Degenerate peers and correct bindings",
            box=None,
            header_style="dim",
            title_justify="left",
        )
        for name in ("peer", "what it does", "as it must", "outcome", "s"):
            table.add_column(name, overflow="fold")
        for each in ended:
            mark = ("[green]yes[/]" if each.killed else "[bold red]NO[/]") + _looks(each)
            table.add_row(each.name, each.target, mark, escape(each.why), f"{each.seconds:.1f}")
        console.print(table)
    score = sum(each.killed for each in kills)
    good = sum(each.killed for each in ended)
    style = "bold green" if score == len(kills) and good == len(ended) else "bold red"
    console.print(
        f"[{style}]killed {score} of {len(kills)} mutants, each by its clause for its reason; "
        f"{good} of {len(ended)} peers and correct bindings ended as they must[/] "
        f"[dim]({seconds:.0f} s, seed {seed})[/]"
    )
