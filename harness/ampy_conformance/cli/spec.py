"""`ampy-conform spec`: is the contract's data whole, and how much of it is verified?"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance._layout import PACKAGE, room
from ampy_conformance.cli import _exports, _spec_diff
from ampy_conformance.contract import descriptors, references, speccheck

if TYPE_CHECKING:
    from ampy_conformance.contract import Contract

LEVELS = ("MUST", "MUST NOT", "SHOULD", "MAY", "UNSPECIFIED")
MEANS = {
    "suite": "a test of the suite judges it on a live binding",
    "validate": "the validator judges it on records",
    "planned": "not verified yet",
    "attested": "no test can show it; stated with its reason",
    "project": "shown by this project's own data and tests",
}
SPEC = click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def command() -> None:
    """The contract as data: check it, compare it, and see how much of it is verified."""


command.add_command(_spec_diff.command)


@command.command(
    epilog="Exit codes: 0 all is well, 1 something is wrong, 2 the data does not parse."
)
@SPEC
@JSON
def check(spec: Path | None, as_json: bool) -> int:
    """Check clauses, ambiguities, tests, mutants and generated files against one another."""
    contract = contracts.load(spec)
    tests = references.judges(room("conformance"), contract.root)
    mutants = references.mutants(PACKAGE / "mutants")
    wrong = speccheck.problems(contract, tests, mutants, room("golden").parent)
    if as_json:
        click.echo(json.dumps({"clauses": len(contract.clauses), "problems": wrong}))
        return 1 if wrong else 0
    for each in wrong:
        click.echo(f"problem: {each}")
    verified = sum(each.verified == "suite" for each in contract.clauses.values())
    click.echo(
        f"{len(wrong)} problems"
        if wrong
        else f"{len(contract.clauses)} clauses, {len(contract.ambiguities)} ambiguities, "
        f"{len(contract.domains)} domains; {verified} clauses have tests, {len(mutants)} mutants: "
        "all agree"
    )
    return 1 if wrong else 0


@command.command()
@SPEC
@JSON
def coverage(spec: Path | None, as_json: bool) -> int:
    """Show how many clauses are verified, how, by level; and which MUST has no mutant."""
    contract = contracts.load(spec)
    tests = references.judges(room("conformance"), contract.root)
    planted = {each.clause for each in references.mutants(PACKAGE / "mutants")}
    counts = Counter((each.level, each.verified) for each in contract.clauses.values())
    blind = [
        each.id
        for each in contract.clauses.values()
        if each.must and each.id in tests and each.id not in planted
    ]
    if as_json:
        rows = [
            {"level": level, "verified": how, "clauses": count}
            for (level, how), count in sorted(counts.items())
        ]
        click.echo(json.dumps({"counts": rows, "must_without_mutant": blind}))
        return 0
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("level")
    for how in MEANS:
        table.add_column(how, justify="right")
    table.add_column("all", justify="right")
    for level in LEVELS:
        cells: list[Any] = [counts[level, how] for how in MEANS]
        table.add_row(level, *(str(each or ".") for each in cells), str(sum(cells)))
    totals = [sum(counts[level, how] for level in LEVELS) for how in MEANS]
    table.add_row("all", *map(str, totals), str(sum(totals)), style="bold")
    console.print(table)
    for how, text in MEANS.items():
        console.print(f"[dim]{how:<9} {text}[/]")
    with_mutant = sum(1 for each in tests if each in planted and contract.clauses[each].must)
    console.print(
        f"{with_mutant} MUST clauses with a test have a mutant that the test has to kill; "
        f"without one: {', '.join(blind) or 'none'}"
    )
    return 0


@command.command()
@SPEC
def build(spec: Path | None) -> int:
    """Write spec/descriptors.binpb from ampy-proto and our own .proto files."""
    contract: Contract = contracts.load(spec)
    path = contract.root / "descriptors.binpb"
    path.write_bytes(descriptors.build(contract))
    click.echo(f"wrote {path}")
    return 0


command.add_command(_exports.asyncapi)
command.add_command(_exports.integration_note)
