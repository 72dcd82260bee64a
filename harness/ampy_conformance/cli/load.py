"""`ampy-conform load`: latency and throughput of a binding beside the raw client, with a verdict."""

from __future__ import annotations

import datetime as dt
import json
import platform
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ampy_conformance import __version__
from ampy_conformance import contract as contracts
from ampy_conformance import driver as drivers
from ampy_conformance._errors import ConformError, HarnessError, UsageError
from ampy_conformance._layout import room
from ampy_conformance.cli import _driver
from ampy_conformance.cli._numbers import FloatRange
from ampy_conformance.contract.digest import tree_digest
from ampy_conformance.load.schedule import mix_of
from ampy_conformance.report import lines, loads
from ampy_conformance.report.outcomes import Exit
from ampy_conformance.report.plots import pictures
from ampy_conformance.suite.loading import Loading, Replayed, Wish
from ampy_conformance.suite.session import Options, Session
from ampy_conformance.suite.verdicts import Inconclusive, NotClaimed, NotRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHORTEST = 4.0
CAPACITY = "SLO-07"


class Watched:
    """Progress on standard error: a bar that fills with the seconds of the present step."""

    def __init__(self, *, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._plain = not self.console.is_terminal and not quiet
        self._progress = Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        )
        self._task = self._progress.add_task("connecting", total=None)
        self._begin = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, what: str, seconds: float) -> None:
        """Show the next step."""
        if self._plain:
            gone = time.monotonic() - self._begin
            self.console.print(f"{gone:6.1f} s  {what} ({seconds:.0f} s)", highlight=False)
        self._progress.update(self._task, description=f"{what} ({seconds:.0f} s)")


@click.command(
    epilog="""\b
Examples:
  ampy-conform load nats --quick                       twenty seconds: gross failures only
  ampy-conform load nats                               two to six minutes, and a verdict
  ampy-conform load kafka --rate 2000 --mix 300:1 --domains orders,bars
  ampy-conform load exec:./my-driver/driver --only latency --report load.jsonl --json
\b
The raw client of the broker is under the same load in turns with the binding: what it does not
achieve on this machine is not held against the binding. See docs/slo.md.
\b
Exit codes: 0 every limit is kept, 1 one is proven broken, 2 usage, 3 harness, driver or broker
failure, 6 this run cannot tell (the reason is printed)."""
)
@_driver.argument()
@click.option("--rate", type=FloatRange(1, 200_000), help="Records a second (default: 1050).")
@click.option(
    "--mix",
    help="Payload bytes and weights, SIZE:WEIGHT,... (default: 300:1000,65536:50; memory: 300:1).",
)
@click.option(
    "--domains", help="Domains under load, comma-separated (default: all that have a limit)."
)
@click.option(
    "--duration",
    type=FloatRange(SHORTEST, 1200),
    help="Seconds of load on each side in the first look (default: 60). Undecided, it goes on as long again.",
)
@click.option("--quick", is_flag=True, help="One short look: proves gross failures, never a pass.")
@click.option(
    "--only",
    type=click.Choice(["latency", "throughput", "replay"]),
    help="One run: the latency, the throughput (default: these two), or the latency beside a replay (RPL-11).",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    default=512,
    help="Throughput: how many sends are open at a time.",
    show_default=True,
)
@click.option("--seed", type=int, help="Seed of schedule and payloads; printed, new each time.")
@click.option("--broker", "broker_url", help="URL of a broker of yours instead of an embedded one.")
@click.option(
    "--dedicated-broker", is_flag=True, help="That broker is for tests: its streams may be remade."
)
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write pictures (SVG) into this folder; made where missing.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the JSON Lines report here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the lines of the load as JSON.")
def command(
    driver: str,
    rate: float | None,
    mix: str | None,
    domains: str | None,
    duration: float | None,
    quick: bool,
    only: str | None,
    in_flight: int,
    seed: int | None,
    broker_url: str | None,
    dedicated_broker: bool,
    plots: Path | None,
    report: Path | None,
    as_json: bool,
) -> int:
    """Put the binding behind DRIVER under an offered load and judge its latency.

    The driver has to implement `load_plan`.
    """
    if report is not None and not report.parent.is_dir():
        raise UsageError(f"the folder of {report} does not exist; create it first")
    if plots is not None and not plots.absolute().parent.is_dir():
        raise UsageError(f"the folder of {plots} does not exist; create it first")
    if quick and duration is not None:
        raise UsageError("--quick has a duration of its own; leave --duration out")
    wish = Wish(
        rate=rate,
        mix=mix_of(mix) if mix else None,
        domains=tuple(each.strip() for each in domains.split(",")) if domains else (),
        duration=duration,
        quick=quick,
        in_flight=in_flight,
    )
    drivers.prepare(driver, lambda text: click.echo(text, err=True))
    options = Options(
        driver=driver,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        broker_url=broker_url,
        dedicated_broker=dedicated_broker,
    )
    whats = (only,) if only else ("latency", "throughput")
    run = _Run(options, wish, report)
    with Watched(quiet=as_json) as watched:
        run.go(whats, watched)
    if plots is not None:
        plots.mkdir(exist_ok=True)
        for each in pictures(run.loads):
            (plots / each.name).write_text(each.svg, "utf-8")
    if run.trouble:
        click.echo(f"error: {run.trouble}", err=True)
    if as_json:
        click.echo(json.dumps({"exit": int(run.code), "seed": options.seed, "loads": run.loads}))
    else:
        loads.show(run.loads, Console())
        for text in run.undecided:
            click.echo(f"inconclusive: {text}")
        Console().print(f"[dim]seed {options.seed}; exit {int(run.code)}[/]", highlight=False)
    return int(run.code)


class _Run:
    """One call of the verb: runs, lines, exit code."""

    def __init__(self, options: Options, wish: Wish, report: Path | None) -> None:
        self._options = options
        self._wish = wish
        self._writer = lines.Writer(report) if report else None
        self._began = time.monotonic()
        self.loads: list[dict[str, Any]] = []
        self.undecided: list[str] = []
        self.trouble: str | None = None
        self._else = Exit.HARNESS
        self.code = Exit.HARNESS

    def go(self, whats: Sequence[str], watched: Watched) -> None:
        """Run what is asked for; an error ends it, and what was proven before it stays proven."""
        try:
            session = Session(contracts.load(), self._options)
            try:
                self._head(session)
                loading = Loading(session, self._wish, watched.tell, self.take)
                loading.offered()
                for each in whats:
                    try:
                        found = getattr(loading, each)()
                        if isinstance(found, Replayed) and found.delivered != found.asked:
                            self.undecided.append(
                                f"replay: {found.delivered} of {found.asked} replayed records came"
                            )
                    except (Inconclusive, NotClaimed, NotRun) as error:
                        self.undecided.append(f"{each}: {error}")
            finally:
                session.close()
        except ConformError as error:
            self.trouble, self._else = str(error), Exit(error.exit_code)
            if not isinstance(error, HarnessError):
                raise
        except BaseException as error:
            self.trouble = f"ended by {type(error).__name__}"
            raise
        finally:
            self.code = self._judged()
            if self._writer is not None:
                self._writer.end(
                    verdict=self.trouble or "; ".join(self.undecided) or _verdict(self.loads),
                    exit=int(self.code),
                    counts={},
                    profiles={},
                    partial=True,
                    stale=[],
                    trouble=self.trouble,
                    seconds=round(time.monotonic() - self._began, 3),
                )

    def take(self, line: dict[str, Any]) -> None:
        """Keep a line of the load."""
        self.loads.append(line)
        if self._writer is not None:
            self._writer.write("load", **line)

    def _judged(self) -> Exit:
        outcomes = {each["outcome"] for load in self.loads for each in judged(load)}
        if "fail" in outcomes:
            return Exit.NOT_CONFORMANT
        if self.trouble:
            return self._else
        if self.undecided or "inconclusive" in outcomes:
            return Exit.INCONCLUSIVE
        return Exit.CONFORMANT if self.loads else Exit.NOTHING

    def _head(self, session: Session) -> None:
        if self._writer is None:
            return
        contract = session.contract
        assert session.broker is not None
        self._writer.write(
            "run",
            schema=lines.SCHEMA_VERSION,
            suite={
                "name": "ampy-bus-conformance",
                "version": __version__,
                "digest": tree_digest(room("conformance")),
            },
            contract={
                "name": contract.name,
                "version": contract.version,
                "digest": contract.digest,
            },
            driver={"connectable": self._options.driver, **session.hello.facts()},
            broker=session.broker.facts(),
            seed=self._options.seed,
            selection={},
            keyword=None,
            time_scale=1.0,
            planned=0,
            started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            platform={"system": platform.system(), "python": platform.python_version()},
        )


def judged(load: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what of a load has a verdict: its limits, or the throughput itself."""
    if "rates" in load:
        return [{"clause": CAPACITY, **load}]
    return [each for each in load.get("limits", ()) if "outcome" in each]


def _verdict(loads: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{e['clause']} {e['outcome']}" for load in loads for e in judged(load))
