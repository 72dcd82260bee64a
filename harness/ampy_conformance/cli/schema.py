"""`ampy-conform schema`: the JSON Schema of everything machine-readable."""

from __future__ import annotations

import json

import click

from ampy_conformance.cli import _schema


@click.command(
    epilog="""\b
Examples:
  ampy-conform schema                    the names of all schemas
  ampy-conform schema report             lines of a report (certify --report)
  ampy-conform schema history            lines of a history (certify --history)
  ampy-conform schema finding            lines of validate --format jsonl
  ampy-conform check --schema            the same as: schema output/check
\b
Exit codes: 0 printed, 2 there is no such schema."""
)
@click.argument("name", required=False)
def command(name: str | None) -> int:
    """Print a JSON Schema by its NAME; without one, list the names."""
    if name is None:
        for each in _schema.names():
            click.echo(f"{each:<28} {_schema.of(each).get('title', '')}")
    else:
        click.echo(json.dumps(_schema.of(name), indent=2))
    return 0
