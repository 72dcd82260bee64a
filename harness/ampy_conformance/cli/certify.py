"""`ampy-conform certify`: judge a binding, clause by clause, on a real broker."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
)

from ampy_conformance import _process
from ampy_conformance import contract as contracts
from ampy_conformance import driver as drivers
from ampy_conformance import history as histories
from ampy_conformance._errors import ConformError, HarnessError, UsageError
from ampy_conformance._layout import room
from ampy_conformance.broker import PROVISIONS
from ampy_conformance.cli import _driver
from ampy_conformance.cli._numbers import FloatRange
from ampy_conformance.cli._progress import Lines
from ampy_conformance.contract import references
from ampy_conformance.report import console as rendering
from ampy_conformance.report import formats, lines
from ampy_conformance.suite import child, components, follow

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

MARKS = {
    "pass": "[green]pass[/]",
    "warn": "[yellow]warn[/]",
    "fail": "[bold red]FAIL[/]",
    "known failure": "[magenta]known[/]",
    "error": "[bold red]error[/]",
    "inconclusive": "[yellow]?   [/]",
    "not run": "[dim]not run[/]",
    "not claimed": "[dim]not claimed[/]",
}
LAST_LINES = 12
# Cases that fail for one and the same reason are told this often while the run goes on.
SAME_REASON = 3


@click.command(
    epilog="""\b
Examples:
  ampy-conform certify nats                          the reference binding on an embedded nats-server
  ampy-conform certify kafka                         the same on an embedded Apache Kafka
  ampy-conform certify "exec:./my-driver/driver --flag"     your binding, through your driver
  ampy-conform certify nats --clause ORD-01 -v       one clause, case by case
  ampy-conform certify nats --faults all             and under crashes, cuts and restarts
  ampy-conform explain ORD-01                        what a clause says, and what to look at
\b
Exit codes: 0 conformant (or: what was selected passed), 1 not conformant, 2 usage,
3 harness or broker failure, 4 nothing ran, 5 stale known failure, 6 inconclusive."""
)
@_driver.argument()
@click.option("--clause", "clauses", multiple=True, help="Only this clause (repeatable).")
@click.option("--group", "groups", multiple=True, help="Only this group, e.g. ORD (repeatable).")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="Only this profile (repeatable; `ampy-conform explain profiles` lists them).",
)
@click.option(
    "--faults",
    multiple=True,
    help="Also let these faults strike: all, a family (process, broker, network, envelope, "
    "handler) or a name (repeatable). Needs the extra `history`.",
)
@click.option(
    "--case", help="Only cases whose names match, as in 'replay and not window' (pytest's -k)."
)
@click.option("--seed", type=int, help="Seed of all random choices; printed, new each time.")
@click.option("--broker", "broker_url", help="URL of a broker of yours instead of an embedded one.")
@click.option(
    "--provision",
    type=click.Choice(list(PROVISIONS)),
    default="process",
    help="How the embedded broker is started: as a process here (default), or in Docker (Kafka).",
)
@click.option(
    "--dedicated-broker", is_flag=True, help="That broker is for tests: its streams may be remade."
)
@click.option(
    "--known-failures",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML list of failures that are accepted until a day (docs/verdicts.md).",
)
@click.option(
    "--quick-load",
    is_flag=True,
    help="With --profile slo: a short look, which never passes a limit.",
)
@click.option("--strict", is_flag=True, help="Warnings (SHOULD) fail the run.")
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option(
    "--time-scale",
    type=FloatRange(0.1, 100),
    default=1.0,
    help="Multiply all waiting times, as with 2 on a slow machine.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the JSON Lines report here, and the event history beside it: of report.jsonl as "
    "report.history.parquet, or as report.history.jsonl without the extra `history`.",
)
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the event history of every case here; `ampy-conform check` judges it. JSON Lines, or "
    "Parquet where it ends in .parquet (needs the extra `history`).",
)
@click.option("--no-history", is_flag=True, help="Keep no event history beside the report.")
@click.option(
    "--payload-excerpts",
    is_flag=True,
    help="Keep the first 32 bytes of payloads, in hex, where a case did not pass.",
)
@click.option(
    "--junit",
    "junit_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write JUnit XML here.",
)
@click.option(
    "--render",
    "renderings",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report in another form here, by the name's end: .html, .md, .xml (JUnit), .csv, "
    ".badge.json (repeatable).",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the last line of the report instead of a summary.",
)
@click.option(
    "--if-possible",
    is_flag=True,
    help="Where this machine lacks a component (Java, ...), say so and end with 0: not run.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print every case as it ends.")
def command(
    driver: str,
    clauses: tuple[str, ...],
    groups: tuple[str, ...],
    profiles: tuple[str, ...],
    faults: tuple[str, ...],
    case: str | None,
    seed: int | None,
    broker_url: str | None,
    provision: str,
    dedicated_broker: bool,
    known_failures: Path | None,
    quick_load: bool,
    strict: bool,
    spec: Path | None,
    time_scale: float,
    report: Path | None,
    history: Path | None,
    payload_excerpts: bool,
    no_history: bool,
    junit_path: Path | None,
    renderings: tuple[Path, ...],
    as_json: bool,
    if_possible: bool,
    verbose: bool,
) -> int:
    """Certify the binding behind DRIVER against the contract."""
    wanted = {path: formats.of_file(path) for path in renderings}
    if junit_path is not None:
        wanted[junit_path] = formats.load("junit")
    for path in (report, history, *wanted):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"the folder of {path} does not exist; create it first")
    if history is not None and no_history:
        raise UsageError("--history and --no-history exclude each other: leave one of them out")
    _demand_judges(clauses, faults, spec)
    if history is None and report is not None and not no_history:
        history = histories.beside(report)
    lacking = components.missing_for(f"certify {driver}") if if_possible else []
    for each in lacking:
        says = f"{each.name} is missing ({each.says or each.brings})"
        click.echo(f"certify {driver}: not run: {says}", err=as_json)
    if lacking:
        return 0
    drivers.prepare(driver, lambda text: click.echo(text, err=True))
    with tempfile.TemporaryDirectory(prefix="ampy-conform-run-") as scratch:
        target = report or Path(scratch) / "report.jsonl"
        request = child.Request(
            driver=driver,
            report=target,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            broker_url=broker_url,
            dedicated_broker=dedicated_broker,
            spec=spec,
            known_failures=known_failures,
            strict=strict,
            time_scale=time_scale,
            clauses=clauses,
            groups=groups,
            profiles=profiles,
            case=case,
            history=history,
            faults=faults,
            status=Path(scratch) / "status",
            provision=provision,
            excerpts=payload_excerpts,
            load="quick" if quick_load else "full",
        )
        log = Path(scratch) / "pytest.log"
        target.unlink(missing_ok=True)
        process = child.start(request, log)
        try:
            _watch(target, process, Path(scratch) / "status", quiet=as_json, verbose=verbose)
            process.wait()
        finally:
            _process.end(process)
        whole = _read(target, log)
    for path, form in wanted.items():
        path.write_bytes(form.render(whole))
    if whole.end["exit"] == UsageError.exit_code:
        raise UsageError(whole.end["trouble"])
    if as_json:
        click.echo(json.dumps(whole.end))
    else:
        rendering.show(whole, Console(), report)
    return int(whole.end["exit"])


def _demand_judges(clauses: Sequence[str], faults: Sequence[str], spec: Path | None) -> None:
    """Say what is missing where nothing that judges these clauses would run."""
    if faults or not clauses:
        return
    judges = references.judges(room("conformance"), contracts.load(spec).root)
    files = [[one.file for one in judges.get(each, ())] for each in clauses]
    if all(map(references.under_faults_only, files)):
        raise UsageError(
            f"{', '.join(clauses)}: judged under faults only; add --faults all, or a fault's name"
        )


def _read(path: Path, log: Path) -> lines.Report:
    """Read the report; where the suite could not write one, say why it ended."""
    output = log.read_text("utf-8", "replace").strip().splitlines()
    said = [each.removeprefix("ERROR: ") for each in output if each.startswith("ERROR: ")]
    # pytest refused its options, in our words or its own: nothing ran.
    if said and (not path.exists() or not path.stat().st_size):
        raise UsageError(said[0])
    try:
        return lines.read(path)
    except ConformError as error:
        tail = "\n".join(output[-LAST_LINES:])
        raise HarnessError(f"the suite ended without a whole report ({error})\n{tail}") from error


def _watch(
    path: Path, process: subprocess.Popen[bytes], status: Path, *, quiet: bool, verbose: bool
) -> None:
    """Show the progress of the run on standard error."""
    console = Console(stderr=True, quiet=quiet)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[now]}[/]"),
    )
    hidden = quiet or not console.is_terminal
    beside = Lines()
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task("connecting", total=None, now="")
        told: Counter[str] = Counter()
        for line in follow.lines(path, process):
            if line is not None:
                _step(progress, task, line, told, verbose=verbose)
                if line["kind"] in ("run", "case", "load"):
                    status.unlink(missing_ok=True)
            elif status.exists():
                progress.update(task, now=status.read_text("utf-8"))
            if hidden:
                beside.tell(_far(progress.tasks[0]))


def _far(task: Task) -> str:
    """Say in words what the bar would show."""
    count = "" if task.total is None else f" {task.completed:.0f} of {task.total:.0f}"
    return f"{task.description}{count}  {task.fields['now']}".rstrip()


def _step(
    progress: Progress, task: Any, line: dict[str, Any], told: Counter[str], *, verbose: bool
) -> None:
    kind = line["kind"]
    if kind == "run":
        progress.update(task, total=line["planned"], description="certifying")
    elif kind == "start":
        progress.update(task, now=line["case"].rpartition("::")[2])
    elif kind == "case":
        progress.advance(task)
        bad = line["outcome"] in ("fail", "error", "inconclusive")
        told[line["says"]] += 1
        if verbose or (bad and told[line["says"]] <= SAME_REASON):
            name = line["id"].rpartition("::")[2].replace("[", r"\[")
            said = line["says"].replace("[", r"\[")
            clauses = " ".join(line["clauses"])
            mark = MARKS[line["outcome"]]
            progress.console.print(f"{mark} {clauses} [dim]{name} {line['seconds']} s[/] {said}")
