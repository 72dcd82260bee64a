"""`ampy-conform report verify`: does a certificate hold, and if not, why?"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance.report import certificate, keys

if TYPE_CHECKING:
    from ampy_conformance.report.certificate import Certificate, Check

SIGNS = {True: "ok", False: "NO", None: "--"}


@click.command(
    epilog="""\b
Examples:
  ampy-conform report verify run.jsonl.certificate.json --key signing.pem.pub
  ampy-conform report verify cert.json --key old.pub --key new.pub --report run.jsonl --driver ./my-driver

The report and the history are looked for beside the certificate unless named. Nothing is fetched.

\b
Exit codes: 0 it holds, and the run passed; 1 something does not match, or the run did not pass
(--any-result accepts that); 2 usage, or the certificate is cut off."""
)
@click.argument("file", metavar="CERTIFICATE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key",
    "paths",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A public key (PEM) that you trust; several: any of them.",
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="The report.")
@click.option(
    "--history", type=click.Path(path_type=Path, dir_okay=False), help="The history of the run."
)
@click.option("--driver", type=click.Path(path_type=Path), help="File or folder of the driver.")
@click.option(
    "--spec",
    type=click.Path(path_type=Path),
    help="Folder of the contract that it has to be about.",
)
@click.option("--any-contract", is_flag=True, help="Do not compare the contract.")
@click.option("--any-result", is_flag=True, help="Accept a certificate of a run that did not pass.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    file: Path,
    paths: tuple[Path, ...],
    report: Path | None,
    history: Path | None,
    driver: Path | None,
    spec: Path | None,
    any_contract: bool,
    any_result: bool,
    as_json: bool,
) -> int:
    """Verify CERTIFICATE offline: signature, dates, contract, and the files that it binds."""
    if spec is not None and any_contract:
        raise UsageError("--spec and --any-contract exclude each other")
    known = [keys.public(each) for each in paths]
    found = certificate.read(file)
    contract = None if any_contract else contracts.load(spec)
    checks = certificate.verify(
        found,
        known,
        now=dt.datetime.now(dt.UTC),
        contract=contract,
        report=report,
        history=history,
        driver=driver,
        beside=file.parent,
    )
    holds = all(each.holds is not False for each in checks)
    result = found.statement["predicate"].get("result") if checks[0].holds else None
    passed = result in ("PASSED", "WARNED")
    if checks[0].holds and not passed and not any_result:
        holds = False
    _print(checks, found, result, holds=holds, as_json=as_json)
    return 0 if holds else 1


def _print(
    checks: list[Check], found: Certificate, result: str | None, *, holds: bool, as_json: bool
) -> None:
    if as_json:
        rows = [{"what": e.what, "holds": e.holds, "says": e.says} for e in checks]
        content = found.statement if result is not None else None
        click.echo(
            json.dumps(
                {"holds": holds, "result": result, "checks": rows, "statement": content}, indent=2
            )
        )
        return
    for each in checks:
        click.echo(f"{SIGNS[each.holds]}  {each.what}: {each.says}")
    if result is not None:
        click.echo(f"{'ok' if result in ('PASSED', 'WARNED') else 'NO'}  result: {result}")
    click.echo("the certificate holds" if holds else "the certificate does not hold")
