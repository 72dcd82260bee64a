"""`ampy-conform report keygen`: a pair of keys for certificates."""

from __future__ import annotations

from pathlib import Path

import click

from ampy_conformance.report import keys


@click.command(
    epilog="""\b
With openssl:
  openssl genpkey -algorithm ed25519 -out signing.pem
  openssl pkey -in signing.pem -pubout -out signing.pem.pub

The signing key is encrypted where AMPY_CONFORM_SIGNING_PASSPHRASE is set."""
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def command(file: Path) -> int:
    """Make a key that signs (FILE, keep it secret) and the one that verifies (FILE.pub)."""
    secret, public = keys.make(file)
    click.echo(f"{secret} signs: keep it secret\n{public} verifies: give it away")
    return 0
