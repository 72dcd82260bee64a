"""`ampy-conform golden`: write and check the golden envelopes, and send them through other languages."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance import roundtrip as trips
from ampy_conformance._errors import UsageError
from ampy_conformance._layout import room
from ampy_conformance.contract import golden, golden_files, payloads, schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ampy_conformance.contract.model import Contract
    from ampy_conformance.roundtrip import Cell, Program


@click.group(
    epilog="""\b
golden/<domain>/     valid envelopes, at least three for each domain
faulty/invalid/      one fault each, refused for exactly the clause in the file's name
faulty/warned/       one deviation each that is tolerated with a warning
\b
Exit codes: 0 current and judged right, 1 not, 2 usage."""
)
def command() -> None:
    """Golden envelopes: examples of every domain, and of every fault, made from the spec."""


@command.command()
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option("--to", type=click.Path(path_type=Path), help="Write below this folder instead.")
def build(spec: Path | None, to: Path | None) -> int:
    """Write golden/, faulty/ and the schemas that are made from the spec."""
    contract = contracts.load(spec)
    if to is not None and not to.is_dir():
        raise UsageError(f"{to} is not a folder; create it first")
    target = to or room("golden").parent
    names = golden_files.write(contract, target)
    written = schemas.write(contract, target / "schemas")
    click.echo(f"{len(names)} envelopes below {target}, {len(written)} schemas")
    return 0


@command.command()
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(spec: Path | None, as_json: bool) -> int:
    """Prove that golden/ and faulty/ are current, and that every envelope is judged as it has to be."""
    contract = contracts.load(spec)
    wanted = golden.build(contract)
    wrong = golden_files.problems(contract, room("golden").parent, wanted)
    counts = Counter(each.expects for each in wanted)
    domains = {each.name.split("/")[1] for each in wanted if each.expects == "valid"}
    if as_json:
        click.echo(json.dumps({"counts": counts, "domains": len(domains), "problems": wrong}))
    else:
        for each in wrong:
            click.echo(f"problem: {each}")
        click.echo(
            f"{counts['valid']} valid envelopes of {len(domains)} domains accepted, "
            f"{counts['invalid']} invalid refused for exactly their clause, "
            f"{counts['warned']} warned about"
            if not wrong
            else f"{len(wrong)} problems"
        )
    return 1 if wrong else 0


@command.command(
    epilog="""\b
Each golden payload goes through protobuf in every language as it is, with unknown fields in every
message, and twice over; each payload type with the least and the greatest values of its fields.
What is cut off or holds bad UTF-8 must be refused. The message decides; equal bytes are reported,
because protobuf promises none (maps, oneofs).
\b
Examples:
  ampy-conform golden roundtrip                          every language whose tools are here
  ampy-conform golden roundtrip --lang go                that one, and an error without its tools
  ampy-conform golden roundtrip --program rust=./trip    yours: ./trip DESCRIPTOR_SET TYPE <in >out
\b
Exit codes: 0 every message survives, 1 one does not, 2 usage, 3 a program or its tools fail, 4
nothing ran."""
)
@click.option("--lang", help=f"Only these, with commas between: {', '.join(trips.LANGUAGES)}.")
@click.option(
    "--program",
    "own",
    multiple=True,
    metavar="NAME=PATH",
    help="A program of your own; it exits with 1 where the input is no message (repeatable).",
)
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def roundtrip(lang: str | None, own: tuple[str, ...], spec: Path | None, as_json: bool) -> int:
    """Parse and write every golden payload with Go, C++ and Python: same message (SER-08)."""
    contract = contracts.load(spec)
    console = Console(stderr=True, quiet=as_json)
    programs, missing = _programs(contract, lang, own, console)
    wanted = trips.specimens(contract)
    cells: dict[str, list[Cell]] = {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        for each in programs:
            task = progress.add_task(each.name, total=len(wanted))
            cells[each.name] = trips.judge(
                contract, each, wanted, functools.partial(progress.advance, task)
            )
    if as_json:
        click.echo(json.dumps(_as_data(programs, missing, cells), indent=2))
    else:
        _show_trips(programs, missing, cells)
    if not cells:
        return 4
    return 0 if all(each.good for row in cells.values() for each in row) else 1


def _programs(
    contract: Contract, lang: str | None, own: Sequence[str], console: Console
) -> tuple[list[Program], dict[str, str]]:
    """Return the programs, and why a language has none; asked for by name, that is an error."""
    names = list(trips.LANGUAGES) if lang is None else [each.strip() for each in lang.split(",")]
    for each in names:
        if each not in trips.LANGUAGES:
            raise UsageError(f"there is no language {each!r}: use {', '.join(trips.LANGUAGES)}")
    programs: list[Program] = []
    missing: dict[str, str] = {}
    for each in dict.fromkeys(names):
        try:
            programs.append(trips.program(each, contract, console.print))
        except trips.NotThere as error:
            if lang is not None:
                raise
            missing[each] = str(error)
    for pair in own:
        name, _, path = pair.partition("=")
        if not name or not path:
            raise UsageError(f"{pair!r} is not of the form NAME=PATH")
        if name in trips.LANGUAGES or name in {each.name for each in programs}:
            raise UsageError(f"there is a program {name!r} already; give yours another name")
        if not os.access(path, os.X_OK) or not Path(path).is_file():
            raise UsageError(f"{path} is no program")
        descriptors = contract.root / payloads.DESCRIPTORS
        programs.append(trips.Executable(name, Path(path).resolve(), descriptors))
    return programs, missing


def _as_data(
    programs: Sequence[Program], missing: dict[str, str], cells: dict[str, list[Cell]]
) -> dict[str, object]:
    return {
        "clause": "SER-08",
        "programs": {each.name: each.what for each in programs},
        "not_run": missing,
        "trips": [
            {
                "of": each.specimen.of,
                "variant": each.specimen.variant,
                "type": each.specimen.schema,
                "program": each.program,
                "outcome": each.outcome,
                **({"says": each.says} if each.says else {}),
            }
            for row in cells.values()
            for each in row
        ],
    }


def _show_trips(
    programs: Sequence[Program], missing: dict[str, str], cells: dict[str, list[Cell]]
) -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("golden payload or type", *cells):
        table.add_column(title, overflow="fold")
    wanted = next(iter(cells.values()), [])
    for of in dict.fromkeys(each.specimen.of for each in wanted):
        rows = [[each for each in row if each.specimen.of == of] for row in cells.values()]
        table.add_row(escape(of), *(_summary(row) for row in rows))
    if cells:
        console.print(table)
    for row in cells.values():
        for each in row:
            if not each.good:
                console.print(
                    f"[bold red]SER-08[/] {escape(each.program)}: {escape(each.specimen.of)} "
                    f"({each.specimen.variant}): {escape(each.says)}",
                    soft_wrap=True,
                )
    for each_program in programs:
        row = cells[each_program.name]
        good = sum(each.good for each in row)
        style = "green" if good == len(row) else "bold red"
        console.print(
            f"[{style}]{escape(each_program.name)}: {good} of {len(row)} as they must be[/] "
            f"[dim]({escape(each_program.what)})[/]"
        )
    for name, why in missing.items():
        console.print(f"[yellow]{name}: not run[/] ({escape(why)})", soft_wrap=True)


def _summary(row: Sequence[Cell]) -> str:
    """Return the worst of an envelope's trips, refusals left out."""
    bad = sum(not each.good for each in row)
    if bad:
        return f"[bold red]{bad} of {len(row)} different[/]"
    return "same message" if any(each.outcome == "same message" for each in row) else "same bytes"
