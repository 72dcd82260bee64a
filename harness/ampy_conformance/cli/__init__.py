"""The command `ampy-conform`: one module a verb, loaded when it is asked for."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

from ampy_conformance import __version__
from ampy_conformance._errors import ConformError
from ampy_conformance.cli._verbs import Verbs
from ampy_conformance.report.outcomes import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence


class _OutputClosed(Exception):
    """Whoever read our output has gone, as `head` does."""


class _Verbs(Verbs):
    """The verbs in this folder."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # By itself click exits with 1 then, which is a verdict.
            raise _OutputClosed from error


@click.group(
    cls=_Verbs,
    package=__name__,
    path=__path__,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with:  ampy-conform certify nats",
)
@click.version_option(__version__, prog_name="ampy-conform")
def cli() -> None:
    """Certify implementations of the ampy-bus contract, clause by clause."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every error of a user ends in one sentence and an exit code."""
    try:
        code = cli.main(args=arguments, prog_name="ampy-conform", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ConformError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except _OutputClosed:
        # What is still in the buffer goes nowhere, without a complaint at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as if ended by SIGPIPE
    except Exception:  # noqa: BLE001 (a fault of ours; by itself Python exits with 1, a verdict)
        click.echo(f"{traceback.format_exc()}error: this is a fault of the suite", err=True)
        sys.exit(int(Exit.HARNESS))
    sys.exit(code if isinstance(code, int) else 0)
