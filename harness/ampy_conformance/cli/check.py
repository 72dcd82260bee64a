"""`ampy-conform check`: judge a saved history again, offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance.cli._progress import shown
from ampy_conformance.history import convert, fingerprint, properties, verify
from ampy_conformance.history.file import is_parquet
from ampy_conformance.report import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ampy_conformance.history import History
    from ampy_conformance.history.properties import Result

STYLES = {"violated": "bold red", "holds": "green", "not covered": "yellow", "counted": "dim"}


@click.command(
    epilog="""\b
Examples:
  ampy-conform certify nats --history run.jsonl      keep the history of a run
  ampy-conform check run.jsonl                       judge it again, with every violation explained
  ampy-conform check run.jsonl --property skipped
  ampy-conform check run.jsonl --save run.parquet    keep it smaller, and faster to judge
  ampy-conform check r.history.parquet --report r.jsonl   is it the history of that report?
\b
Exit codes: 0 every property holds that had a chance to break, 1 one is violated, 2 usage or a file
that is no whole history, 4 there is no event, 6 no property had a chance to break."""
)
@click.argument("history", required=False, type=click.Path(path_type=Path))
@click.option("--property", "names", multiple=True, help="Only this property (repeatable).")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    help="Write the history as a Parquet file here as well (HISTORY is JSON Lines).",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="See first that HISTORY is the one that this report names.",
)
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--list", "only_list", is_flag=True, help="List the properties, and end.")
def command(
    history: Path | None,
    names: tuple[str, ...],
    save: Path | None,
    report: Path | None,
    spec: Path | None,
    as_json: bool,
    only_list: bool,
) -> int:
    """Judge a saved event history by the temporal properties of the contract.

    HISTORY is a file of JSON Lines or Parquet that `certify --history` or `campaign --history`
    wrote. Each property is a query for its violations (spec/properties/). What had no chance to be
    broken in this history is not said to hold.
    """
    contract = contracts.load(spec)
    known = properties.load(contract)
    if only_list:
        for each in known:
            click.echo(f"{each.name:<26} {', '.join(each.clauses):<18} {each.means}")
        return 0
    if history is None:
        raise UsageError("no history is named: ampy-conform check HISTORY; see --help")
    missing = set(names) - {each.name for each in known}
    if missing:
        raise UsageError(
            f"there is no property {min(missing)!r}; there are {', '.join(e.name for e in known)}"
        )
    properties.duckdb()
    wanted = [each for each in known if not names or each.name in names]
    with shown("verifying the file") as tell:
        found = verify(history)
        if report is not None:
            _bound(history, report)
        if save is not None:
            _save(found, save, tell)
        results = properties.judge_history(contract, found, wanted, tell) if found.events else []
    if not found.events:
        click.echo(f"{history} holds no event")
        return 4
    if as_json:
        click.echo(json.dumps(_data(found, results), indent=2))
    else:
        show(results)
        driver = found.head.get("driver", {})
        Console(highlight=False).print(
            f"[dim]{found.events} events of {escape(str(driver.get('name', 'an unknown binding')))}, "
            f"seed {found.head.get('seed')}[/]"
        )
    verdicts = {each.verdict for each in results}
    if "violated" in verdicts:
        return 1
    return 0 if "holds" in verdicts else 6


def _bound(history: Path, report: Path) -> None:
    kept = lines.read(report).end.get("history")
    if kept is None:
        raise UsageError(f"{report} names no history: it was made without one")
    if fingerprint(history) != kept["digest"]:
        raise UsageError(
            f"{history} is not the history that {report} names ({kept['file']}): its digest differs"
        )


def _save(history: History, target: Path, tell: Callable[[str], None]) -> None:
    if is_parquet(history.path):
        raise UsageError(f"{history.path} is a Parquet file already")
    if not target.parent.is_dir():
        raise UsageError(f"the folder of {target} does not exist; create it first")
    tell(f"writing {target}")
    convert(history.path, target)


def _data(history: History, results: list[Result]) -> dict[str, Any]:
    rows = [
        {
            "property": each.rule.name,
            "clauses": list(each.rule.clauses),
            "severity": each.rule.severity,
            "verdict": each.verdict,
            "covered": each.covered,
            "violations": each.total,
            "examples": [
                {
                    "case": one.scope,
                    "seq": one.seq,
                    "says": one.says,
                    "events": list(one.events),
                }
                for one in each.examples
            ],
        }
        for each in results
    ]
    return {"history": {"events": history.events, **history.head}, "properties": rows}


def show(results: Sequence[Result]) -> None:
    """Print every violation with the events around it, then a table of all properties."""
    console = Console(highlight=False)
    for each in results:
        if each.verdict == "violated":
            _explain(console, each)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("property", "clauses", "chances", "violations", "verdict"):
        right = name in ("chances", "violations")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for each in results:
        style = STYLES[each.verdict]
        clauses = " ".join(each.rule.clauses)
        table.add_row(
            each.rule.name,
            clauses,
            str(each.covered),
            str(each.total),
            f"[{style}]{each.verdict}[/]",
        )
    console.print(table)


def _explain(console: Console, result: Result) -> None:
    rule = result.rule
    console.print(f"[bold red]{rule.name}[/] ({', '.join(rule.clauses)}): {escape(rule.means)}")
    for each in result.examples:
        console.print(f"  [bold]{escape(each.scope)}[/]: {escape(each.says)}")
        for event in each.events:
            mark = "[red]>[/]" if event["seq"] == each.seq else " "
            facts = " ".join(
                f"{name}={value}" for name, value in event.items() if name not in ("seq", "kind")
            )
            console.print(
                f"  {mark} {event['seq']:>5} {event['kind']:<9} [dim]{escape(facts)}[/]",
                soft_wrap=True,
            )
    if result.total > len(result.examples):
        console.print(f"  [dim]... and {result.total - len(result.examples)} more[/]")
