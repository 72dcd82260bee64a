"""`ampy-conform bench`: how fast a binding publishes or consumes on a broker, for operators."""

from __future__ import annotations

import json
import secrets
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance import driver as drivers
from ampy_conformance.cli import _driver
from ampy_conformance.cli._numbers import FloatRange
from ampy_conformance.cli.load import Watched
from ampy_conformance.load.schedule import mix_of
from ampy_conformance.suite.loading import Loading, Wish
from ampy_conformance.suite.session import Options, Session
from ampy_conformance.suite.verdicts import Inconclusive, NotClaimed, NotRun


@click.command(
    epilog="""\b
Examples:
  ampy-conform bench publish nats
  ampy-conform bench consume kafka --rate 2000 --duration 30 --mix 65536:1
  ampy-conform bench publish exec:./my-driver/driver --broker nats://127.0.0.1:4222 --dedicated-broker
\b
It measures and judges nothing; `ampy-conform load` judges.
\b
Exit codes: 0 measured, 2 usage, 3 harness, driver or broker failure, 6 the driver's stamps cannot
be believed, or it has no load_plan."""
)
@click.argument("what", type=click.Choice(["publish", "consume"], case_sensitive=False))
@_driver.argument()
@click.option(
    "--duration", type=FloatRange(2, 600), default=10.0, help="Seconds.", show_default=True
)
@click.option(
    "--rate", type=FloatRange(1, 200_000), help="consume: records a second (default: 1050)."
)
@click.option(
    "--mix", default="300:1", help="Payload bytes and weights, SIZE:WEIGHT,...", show_default=True
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    default=512,
    help="publish: how many sends are open at a time.",
    show_default=True,
)
@click.option("--seed", type=int, help="Seed of schedule and payloads; new each time.")
@click.option("--broker", "broker_url", help="URL of a broker of yours instead of an embedded one.")
@click.option(
    "--dedicated-broker", is_flag=True, help="That broker is for tests: its streams may be remade."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(
    what: str,
    driver: str,
    duration: float,
    rate: float | None,
    mix: str,
    in_flight: int,
    seed: int | None,
    broker_url: str | None,
    dedicated_broker: bool,
    as_json: bool,
) -> int:
    """Measure how the binding behind DRIVER publishes or consumes.

    PUBLISH sends as fast as answers come, with a window of sends that are open, and tells records and
    bytes a second that were acknowledged, and how long an answer took. CONSUME offers a rate and
    tells what was delivered, and the latency from the intended send to the handler.
    """
    drivers.prepare(driver, lambda text: click.echo(text, err=True))
    options = Options(
        driver=driver,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        broker_url=broker_url,
        dedicated_broker=dedicated_broker,
    )
    wish = Wish(rate=rate, mix=mix_of(mix), duration=duration, in_flight=in_flight)
    with Watched(quiet=as_json) as watched:
        session = Session(contracts.load(), options)
        try:
            loading = Loading(session, wish, watched.tell)
            found = (
                loading.bench_publish() if what.lower() == "publish" else loading.bench_consume()
            )
        except (Inconclusive, NotClaimed, NotRun) as error:
            click.echo(f"inconclusive: {error}", err=True)
            return 6
        finally:
            session.close()
    if as_json:
        click.echo(json.dumps({**found, "seed": options.seed}))
    else:
        _show(found)
    return 0


def _show(found: dict[str, Any]) -> None:
    table = Table(title=f"{found['what']} {found['driver']}", title_justify="left", box=None)
    table.add_column("")
    table.add_column("", justify="right")
    for name, each in (
        ("records/s", f"{found['records_per_second']:.0f}"),
        ("bytes/s", f"{found['bytes_per_second']:.0f}"),
        ("records", str(found["records"])),
        ("not acknowledged, or not delivered", str(found["missing"])),
    ):
        table.add_row(name, each)
    for share, each in found["quantiles_ms"].items():
        shown = "never" if each is None else f"{each:.2f} ms"
        table.add_row(f"p{float(share) * 100:g}", shown)
    Console().print(table)
