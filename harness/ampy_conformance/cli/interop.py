"""`ampy-conform interop`: what one binding publishes, another consumes."""

from __future__ import annotations

import dataclasses
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance import driver as drivers
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance.cli._numbers import FloatRange
from ampy_conformance.cli._progress import shown
from ampy_conformance.report import interop_page
from ampy_conformance.report.outcomes import Exit, Outcome
from ampy_conformance.suite import interop
from ampy_conformance.suite.session import Options, Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ampy_conformance.contract.model import Contract
    from ampy_conformance.suite.interop import Answer

SHIPPED = ("nats", "ampy-bus-python", "ampy-bus-go", "kafka", "ampy-bus-go-kafka")
MARKS = {
    Outcome.PASS: "[green]ok[/]",
    Outcome.WARN: "[yellow]warn[/]",
    Outcome.FAIL: "[bold red]FAIL[/]",
    Outcome.ERROR: "[bold red]error[/]",
    Outcome.INCONCLUSIVE: "[yellow]?[/]",
    Outcome.NOT_CLAIMED: "[dim]-[/]",
    Outcome.NOT_RUN: "[dim]not run[/]",
}


@click.command(
    epilog="\b\n"
    + "\n".join(f"{each.name:<12} {each.means}" for each in interop.ASPECTS)
    + """
\b
Examples:
  ampy-conform interop                            all that are shipped here, NATS and Kafka apart
  ampy-conform interop nats "exec:./my-driver/driver"    yours with the reference, both ways
  ampy-conform interop kafka --json > a.json      keep the answers, and later
  ampy-conform interop --from a.json              make a page in Markdown of them
\b
Exit codes: 0 all pairs get along, 1 proof that one does not, 2 usage, 3 harness, driver or broker
failure, 4 nothing ran, 6 inconclusive."""
)
@click.argument("names", metavar="[DRIVERS]...", nargs=-1)
@click.option("--seed", type=int, help="Seed of all random choices; printed, new each time.")
@click.option(
    "--time-scale",
    type=FloatRange(0.1, 100),
    default=1.0,
    help="Multiply all waiting times, as with 2 on a slow machine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all answers as JSON.")
@click.option(
    "--from",
    "kept",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Run nothing: print a page in Markdown of answers that `--json` printed (repeatable).",
)
def command(
    names: tuple[str, ...],
    seed: int | None,
    time_scale: float,
    as_json: bool,
    kept: tuple[Path, ...],
) -> int:
    """Let every binding consume what every other one publishes, on one broker, and judge it.

    Each cell is traced to the clauses that it is judged by. A record that does not arrive is held
    against the producer where it breaks the contract on the wire, against the consumer otherwise.
    """
    contract = contracts.load()
    if kept:
        if names or as_json:
            raise UsageError("--from runs nothing: leave the drivers and --json out")
        click.echo(interop_page.render(contract, [_read(each) for each in kept]), nl=False)
        return 0
    seed = secrets.randbelow(2**31) if seed is None else seed
    console = Console(stderr=True, quiet=as_json)
    wanted, missing = _brokers(contract, names, console)
    answers: dict[str, list[Answer]] = {}
    bindings: dict[str, dict[str, Any]] = {}
    for broker, group in wanted.items():
        session = Session(contract, Options(driver=group[0], seed=seed, time_scale=time_scale))
        members: list[interop.Member] = []
        try:
            for name in group:
                members.append(interop.Member(name, session))  # noqa: PERF401 (each is closed)
            bindings |= {each.name: each.hello.identity for each in members}
            with shown(broker, quiet=as_json) as tell:
                answers[broker] = list(interop.judge(session, members, tell))
        finally:
            for each in members:
                each.close()
            session.close()
    code = _code(answers)
    if as_json:
        click.echo(json.dumps(_facts(contract, seed, bindings, answers, missing), indent=1))
    else:
        _show(answers, missing, seed, int(code))
    return int(code)


def _brokers(
    contract: Contract, names: Sequence[str], console: Console
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the drivers by broker, and why one of the shipped is not run; asked for, that is an error."""
    found: dict[str, list[str]] = {}
    missing: dict[str, str] = {}
    for name in dict.fromkeys(names or SHIPPED):
        try:
            drivers.prepare(name, console.print)
            driver = drivers.connect(name)
            try:
                hello = driver.hello(contract.name, contract.version, contract.digest)
            finally:
                driver.kill()
            found.setdefault(hello.broker, []).append(name)
        except ConformError as error:
            if names:
                raise
            missing[name] = str(error)
    alone = [group[0] for group in found.values() if len(group) == 1]
    if names and alone and len(found) > 1:
        raise UsageError(f"{alone[0]} shares its broker with none of the others")
    return found, missing


def _code(answers: Mapping[str, Sequence[Answer]]) -> Exit:
    seen = {each.outcome for group in answers.values() for each in group}
    for outcome, code in (
        (Outcome.FAIL, Exit.NOT_CONFORMANT),
        (Outcome.ERROR, Exit.HARNESS),
        (Outcome.INCONCLUSIVE, Exit.INCONCLUSIVE),
    ):
        if outcome in seen:
            return code
    return Exit.CONFORMANT if seen & {Outcome.PASS, Outcome.WARN} else Exit.NOTHING


def _facts(
    contract: Contract,
    seed: int,
    bindings: Mapping[str, Any],
    answers: Mapping[str, Sequence[Answer]],
    missing: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "kind": interop_page.KIND,
        "contract": contract.digest,
        "seed": seed,
        "exit": int(_code(answers)),
        "bindings": bindings,
        "aspects": {
            each.name: {"means": each.means, "clauses": each.clauses} for each in interop.ASPECTS
        },
        "answers": {
            broker: [dataclasses.asdict(each) for each in group]
            for broker, group in answers.items()
        },
        "not_run": missing,
    }


def _read(path: Path) -> dict[str, Any]:
    """Return the answers in a file; raises `UsageError` for one that holds none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(found, dict) or found.get("kind") != interop_page.KIND:
        raise UsageError(f"{path} holds no answers of `ampy-conform interop --json`")
    return found


def _show(
    answers: Mapping[str, Sequence[Answer]], missing: Mapping[str, str], seed: int, code: int
) -> None:
    console = Console(highlight=False)
    for broker, group in answers.items():
        table = Table(
            title=broker, title_justify="left", box=None, pad_edge=False, header_style="dim"
        )
        for title in ("producer", "consumer", *(each.name for each in interop.ASPECTS)):
            table.add_column(title, overflow="fold")
        for pair in dict.fromkeys((each.producer, each.consumer) for each in group):
            cells = [each for each in group if (each.producer, each.consumer) == pair]
            table.add_row(*map(escape, pair), *(MARKS[each.outcome] for each in cells))
        console.print(table)
        for each in group:
            if each.outcome not in (Outcome.PASS, Outcome.NOT_CLAIMED):
                seen = "" if each.seen is None else f" (seen: {each.seen})"
                where = f"{each.producer} -> {each.consumer}, {each.aspect}"
                console.print(
                    f"{MARKS[each.outcome]} {escape(where)}: {escape(each.says + seen)[:400]}",
                    soft_wrap=True,
                )
    for name, why in missing.items():
        console.print(f"[dim]{escape(name)}: not run[/] ({escape(why)})", soft_wrap=True)
    console.print(f"[dim]seed {seed}; exit {code}[/]")
