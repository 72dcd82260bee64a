"""`ampy-conform spec asyncapi` and `integration-note`: the contract in the forms of others."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance.contract import asyncapi as document
from ampy_conformance.contract import integration

SPEC = click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
OUT = click.option("--out", type=click.Path(path_type=Path), help="Write it to this file.")
SERVICE = click.option("--service", metavar="NAME", help="Only what this service does.")


@click.command(
    epilog="""\b
Examples:
  ampy-conform spec asyncapi --out ampy-bus.yaml
  ampy-conform spec asyncapi --out ampy-bus.json
  ampy-conform spec asyncapi --service ampy-oms      the operations of one service"""
)
@SPEC
@OUT
@SERVICE
@click.option(
    "--format", "form", type=click.Choice(document.FORMATS), help="By the file's name, else yaml."
)
def asyncapi(spec: Path | None, out: Path | None, service: str | None, form: str | None) -> int:
    """Print the contract as an AsyncAPI 3.0 document.

    Channels of every domain, messages with their header and protobuf schemas, the operations of
    every service, and the bindings on NATS and Kafka.
    """
    contract = contracts.load(spec)
    chosen = form or ("json" if out is not None and out.suffix == ".json" else "yaml")
    made = document.build(contract, service)
    _give(document.text(made, chosen), out)
    if out is not None:
        counts = (
            len(made["channels"]),
            len(made["components"]["messages"]),
            len(made["operations"]),
        )
        click.echo("wrote {}: {} channels, {} messages, {} operations".format(out, *counts))
    return 0


@click.command(
    name="integration-note",
    epilog="""\b
Examples:
  ampy-conform spec integration-note --out integration.md
  ampy-conform spec integration-note --service ampy-oms
  ampy-conform spec integration-note --json""",
)
@SPEC
@OUT
@SERVICE
@click.option("--json", "as_json", is_flag=True, help="As JSON instead of Markdown.")
def integration_note(
    spec: Path | None, out: Path | None, service: str | None, as_json: bool
) -> int:
    """Print which service publishes and consumes what, with which headers (TST-04)."""
    contract = contracts.load(spec)
    if as_json:
        text = json.dumps(integration.data(contract, service), indent=2, ensure_ascii=False) + "\n"
    else:
        text = integration.markdown(contract, service)
    _give(text, out)
    if out is not None:
        click.echo(f"wrote {out}")
    return 0


def _give(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error})") from error
