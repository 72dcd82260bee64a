"""`ampy-conform smoke`: a first look at a driver, in seconds."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from ampy_conformance import contract as contracts
from ampy_conformance import driver as drivers
from ampy_conformance.cli import _driver
from ampy_conformance.report.outcomes import Exit
from ampy_conformance.suite.smoke import Smoke

if TYPE_CHECKING:
    from ampy_conformance.suite.smoke import Step

MARKS = {
    "ok": "[green]ok[/]    ",
    "todo": "[yellow]to do[/] ",
    "broken": "[bold red]broken[/]",
    "failed": "[bold red]failed[/]",
}


@click.command(
    epilog="""\b
Examples:
  ampy-conform smoke "exec:./driver"
  ampy-conform smoke nats
\b
Exit codes: 0 all of it works, 1 what the driver says is not what the broker holds, 2 usage,
3 the driver or the broker is in trouble, 6 something is not written yet."""
)
@_driver.argument()
@click.option("--json", "as_json", is_flag=True, help="Print the steps as JSON.")
def command(driver: str, as_json: bool) -> int:
    """Check that DRIVER speaks the protocol, publishes once, delivers once and ends.

    It certifies nothing; it says what to do next.
    """
    console = Console(highlight=False, quiet=as_json)

    def tell(step: Step) -> None:
        console.print(f"{MARKS[step.outcome]} {step.name:<9} {escape(step.says)}", soft_wrap=True)
        if step.hint:
            console.print(f"       {'':<9} [dim]->[/] {escape(step.hint)}", soft_wrap=True)

    drivers.prepare(driver, lambda text: click.echo(text, err=True))
    began = time.monotonic()
    smoke = Smoke(contracts.load(), tell)
    smoke.run(driver)
    code, following = _verdict(smoke.steps, driver)
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        steps = [asdict(each) for each in smoke.steps]
        facts = {"driver": smoke.facts, "steps": steps, "seconds": seconds, "exit": int(code)}
        click.echo(json.dumps(facts))
    else:
        console.print(f"{following} [dim]({seconds} s)[/]", soft_wrap=True)
    return int(code)


def _verdict(steps: list[Step], driver: str) -> tuple[Exit, str]:
    outcomes = {each.outcome for each in steps}
    if "broken" in outcomes:
        return Exit.NOT_CONFORMANT, "the driver is not ready to be certified"
    if "failed" in outcomes:
        return Exit.HARNESS, "the driver is not ready to be certified"
    if "todo" in outcomes:
        return Exit.INCONCLUSIVE, "what is written works; write the next part and try again"
    return Exit.CONFORMANT, f'next: ampy-conform certify "{escape(driver)}"'
