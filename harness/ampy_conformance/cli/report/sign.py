"""`ampy-conform report sign`: a certificate of a report."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from ampy_conformance._errors import UsageError
from ampy_conformance.report import certificate, facts, keys, lines

DAYS = 90
SUFFIX = ".certificate.json"


@click.command(
    epilog="""\b
Examples:
  ampy-conform report keygen signing.pem
  ampy-conform certify "exec:./my-driver/driver" --report run.jsonl
  ampy-conform report sign run.jsonl --key signing.pem --driver ./my-driver
  ampy-conform report verify run.jsonl.certificate.json --key signing.pem.pub
\b
What is signed, and what a certificate protects from: docs/certificates.md.
\b
Exit codes: 0 signed, 2 usage, or the report is not whole."""
)
@click.argument("report", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key", type=click.Path(path_type=Path), help=f"Signing key (PEM); else that of {keys.KEY}."
)
@click.option(
    "--driver",
    type=click.Path(path_type=Path, exists=True),
    help="File or folder of the driver, besides what the report names.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=DAYS,
    show_default=True,
    help="Valid for so long.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Certificate; else REPORT{SUFFIX}.",
)
def command(
    report: Path, key: Path | None, driver: Path | None, days: int, output: Path | None
) -> int:
    """Sign REPORT: bind its digest, contract, suite, broker, seed and dates with a key."""
    whole = lines.read(report)
    if facts.partial(whole):
        raise UsageError(
            f"{report} is of a run of a part of the suite, which certifies nothing; run it whole"
        )
    raw = report.read_bytes()
    signer = keys.private(key)
    if key is not None and keys.exposed(key):
        click.echo(f"warning: others can read {key}; chmod 600 {key}", err=True)
    issued = dt.datetime.now(dt.UTC).replace(microsecond=0)
    expires = issued + dt.timedelta(days=days)
    content = certificate.statement(
        whole, raw, report.name, issued=issued, expires=expires, driver=driver
    )
    target = output or report.with_name(f"{report.name}{SUFFIX}")
    try:
        target.write_text(certificate.seal(content, signer), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from error
    predicate = content["predicate"]
    bound = ", ".join(each["name"] for each in content["subject"])
    click.echo(f"{target}: {predicate['result']}, expires {predicate['expires']}; binds {bound}")
    if driver is None and not whole.run["driver"].get("files"):
        click.echo("no file of the driver is bound: name it with --driver", err=True)
    return 0
