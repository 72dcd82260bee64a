"""`ampy-conform campaign`: a long run under faults, judged by the temporal properties."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance import driver as drivers
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance.cli import _driver, check
from ampy_conformance.cli._numbers import FloatRange
from ampy_conformance.cli._progress import Lines, shown
from ampy_conformance.faults import catalogue
from ampy_conformance.history import properties, verify
from ampy_conformance.report.outcomes import Exit
from ampy_conformance.suite.session import Options, Session
from ampy_conformance.suite.trials import Trials
from ampy_conformance.suite.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.history.properties import Result
    from ampy_conformance.suite.trials import Long


@click.command(
    epilog="""\b
Examples:
  ampy-conform campaign nats --duration 300 --faults all
  ampy-conform campaign nats --faults network --faults kill-broker --history run.jsonl
  ampy-conform campaign --list                       every fault, and what it does
\b
Exit codes: 0 every property holds that had a chance to break, 1 one is violated, 2 usage, 3 harness
or broker failure, 6 a fault was not seen to fire, or not everything was handled in the end."""
)
@_driver.argument(required=False)
@click.option(
    "--duration",
    type=FloatRange(1, 86400),
    default=60.0,
    help="Seconds of load.",
    show_default=True,
)
@click.option("--faults", multiple=True, help="all, a family or a name (repeatable; default: all).")
@click.option("--seed", type=int, help="Seed of all random choices; printed, new each time.")
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    help="Keep the event history here: JSON Lines, or Parquet where it ends in .parquet.",
)
@click.option(
    "--time-scale",
    type=FloatRange(0.1, 100),
    default=1.0,
    help="Multiply all waiting times, as with 2 on a slow machine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--list", "only_list", is_flag=True, help="List the faults, and end.")
def command(
    driver: str | None,
    duration: float,
    faults: tuple[str, ...],
    seed: int | None,
    history: Path | None,
    time_scale: float,
    as_json: bool,
    only_list: bool,
) -> int:
    """Let faults strike the binding behind DRIVER while records flow, and judge what happened.

    Each fault strikes once, then they strike in random order until the time is up. Afterwards
    everything has to be handled, the log is read from its start, and the history is judged.
    """
    if only_list:
        for each in catalogue.FAULTS.values():
            click.echo(f"{each.family:<9} {each.name:<20} {each.what}")
        return 0
    if driver is None:
        raise UsageError("no driver is named: ampy-conform campaign DRIVER; see --help")
    wanted = catalogue.chosen(faults or ("all",))
    properties.duckdb()
    if history is not None and not history.parent.is_dir():
        raise UsageError(f"the folder of {history} does not exist; create it first")
    drivers.prepare(driver, lambda text: click.echo(text, err=True))
    contract = contracts.load()
    with tempfile.TemporaryDirectory(prefix="ampy-conform-campaign-") as scratch:
        path = history or Path(scratch) / "history.jsonl"
        options = Options(
            driver=driver,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            time_scale=time_scale,
            history=path,
        )
        run = _run(contract, options, wanted, duration, quiet=as_json)
        with shown("judging", quiet=as_json) as tell:
            results = properties.judge_history(
                contract, verify(path), properties.load(contract), tell
            )
        code = _code(run, results, named=bool(faults) and "all" not in faults)
        if as_json:
            click.echo(json.dumps(_facts(run, results, options.seed, int(code))))
        else:
            check.show(results)
            _summary(run, options.seed, int(code))
    return int(code)


def _run(
    contract: Contract,
    options: Options,
    wanted: Sequence[catalogue.Fault],
    duration: float,
    *,
    quiet: bool,
) -> Long:
    console = Console(stderr=True, quiet=quiet)
    beside, began = Lines(), time.monotonic()

    def say(name: str) -> None:
        if quiet:
            beside.tell(name)
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/] {name}")

    session = Session(contract, options)
    trials = Trials(session)
    try:
        with console.status("load"):
            return trials.long(wanted, duration, say)
    except Verdict as error:
        raise ConformError(str(error)) from error
    finally:
        trials.close()
        session.close()


def _code(run: Long, results: Sequence[Result], *, named: bool) -> Exit:
    """Return the exit code; what was asked for by name and could not strike leaves it open."""
    if any(each.verdict == "violated" for each in results):
        return Exit.NOT_CONFORMANT
    fired = bool(run.fired) and all(run.fired.values()) and not (named and run.left_out)
    judged = any(each.covered for each in results if each.rule.severity == "fail")
    return Exit.CONFORMANT if fired and judged and run.drained else Exit.INCONCLUSIVE


def _facts(run: Long, results: Sequence[Result], seed: int, code: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "exit": code,
        "events": run.events,
        "drained": run.drained,
        "fired": dict(run.fired),
        "left_out": dict(run.left_out),
        "properties": {
            each.rule.name: {"chances": each.covered, "violations": each.total, "is": each.verdict}
            for each in results
        },
    }


def _summary(run: Long, seed: int, code: int) -> None:
    console = Console()
    table = Table(title=None, box=None, pad_edge=False, header_style="dim")
    table.add_column("fault")
    table.add_column("fired", justify="right")
    for name, count in run.fired.items():
        table.add_row(name, str(count) if count else "[yellow]not seen to fire[/]")
    for name, why in run.left_out.items():
        table.add_row(name, f"[dim]left out: {why}[/]")
    console.print(table)
    if not run.drained:
        console.print("[yellow]not everything was handled when time was up[/]")
    console.print(f"[dim]{run.events} events; seed {seed}; exit {code}[/]")
