"""`ampy-conform report`: one module in this folder a verb, each with a click command `command`."""

from __future__ import annotations

import importlib
import pkgutil

import click


class _Verbs(click.Group):
    """Finds its commands in this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        names = (each.name for each in pkgutil.iter_modules(__path__))
        return sorted(name for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"{__name__}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


command = _Verbs(name="report", help="Sign certification reports, and verify certificates.")
