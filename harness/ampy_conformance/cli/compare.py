"""`ampy-conform compare`: the same scenario through several bindings, compared."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance.cli._numbers import FloatRange
from ampy_conformance.cli._progress import shown
from ampy_conformance.report.outcomes import Exit
from ampy_conformance.suite import scenario
from ampy_conformance.suite.session import Options, Session
from ampy_conformance.suite.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ampy_conformance.suite.scenario import Outcome

# Differences of one aspect that are printed; all are in the JSON.
EXAMPLES = 5


@click.command(
    epilog="""\b
Examples:
  ampy-conform compare mem nats kafka                the reference bindings, three brokers
  ampy-conform compare nats "exec:./my-driver/driver"    yours against the reference
\b
Exit codes: 0 all are the same, 1 they differ, 2 usage, 3 harness or broker failure,
6 a binding did not come through the scenario."""
)
@click.argument("drivers", nargs=-1, required=True)
@click.option("--seed", type=int, help="Seed of all random choices; printed, new each time.")
@click.option(
    "--time-scale",
    type=FloatRange(0.1, 100),
    default=1.0,
    help="Multiply all waiting times, as with 2 on a slow machine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print outcomes and differences as JSON.")
def command(drivers: tuple[str, ...], seed: int | None, time_scale: float, as_json: bool) -> int:
    """Take several bindings through one scenario; what comes of it must be the same (BND-09, HDR-24).

    Compared are the outcomes of publishes, the records on the wire (topic, headers, body), their order
    within a key, the effects at the handler, and the dead letters. The first binding is the yardstick.
    """
    if len(set(drivers)) < 2:
        raise UsageError(
            "compare needs two bindings or more, as in `ampy-conform compare mem nats`"
        )
    seed = secrets.randbelow(2**31) if seed is None else seed
    contract = contracts.load()
    outcomes: list[Outcome] = []
    stopped: dict[str, str] = {}
    with shown("connecting", quiet=as_json) as tell:
        for each in dict.fromkeys(drivers):
            tell(f"{each} goes through the scenario")
            session = Session(contract, Options(driver=each, seed=seed, time_scale=time_scale))
            try:
                outcomes.append(scenario.run(session, each))
            except Verdict as error:
                stopped[each] = str(error)
            finally:
                session.close()
    found = {each.driver: scenario.differences(outcomes[0], each) for each in outcomes[1:]}
    code = _code(found, stopped)
    if as_json:
        click.echo(json.dumps(_facts(seed, int(code), outcomes, found, stopped)))
    else:
        _show(outcomes, found, stopped, seed, int(code))
    return int(code)


def _code(found: Mapping[str, Mapping[str, Sequence[str]]], stopped: Mapping[str, str]) -> Exit:
    if any(each for aspects in found.values() for each in aspects.values()):
        return Exit.NOT_CONFORMANT
    return Exit.INCONCLUSIVE if stopped else Exit.CONFORMANT


def _facts(
    seed: int,
    code: int,
    outcomes: Sequence[Outcome],
    found: Mapping[str, Any],
    stopped: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "seed": seed,
        "exit": code,
        "outcomes": {each.driver: each.aspects for each in outcomes},
        "differences": found,
        "stopped": stopped,
    }


def _show(
    outcomes: Sequence[Outcome],
    found: Mapping[str, Mapping[str, Sequence[str]]],
    stopped: Mapping[str, str],
    seed: int,
    code: int,
) -> None:
    console = Console(highlight=False)
    for name, why in stopped.items():
        console.print(f"[yellow]{escape(name)} did not come through:[/] {escape(why)}")
    if outcomes:
        first = outcomes[0]
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("aspect", f"observed on {first.driver}", *found):
            table.add_column(escape(name))
        for aspect, seen in first.aspects.items():
            cells = [
                f"[red]{len(each[aspect])} differ[/]" if each[aspect] else "[green]the same[/]"
                for each in found.values()
            ]
            table.add_row(aspect, str(len(seen)), *cells)
        console.print(table)
    for name, aspects in found.items():
        for aspect, rows in aspects.items():
            for row in rows[:EXAMPLES]:
                console.print(f"[red]{escape(name)}[/] {aspect}: {escape(row)}")
            if len(rows) > EXAMPLES:
                console.print(f"[dim]... and {len(rows) - EXAMPLES} more[/]")
    console.print(f"[dim]seed {seed}; exit {code}[/]")
