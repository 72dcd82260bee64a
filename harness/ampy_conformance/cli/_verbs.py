"""A group whose commands are the modules of a folder, each loaded when it is asked for."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import click

from ampy_conformance.cli import _schema

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verbs(click.Group):
    """Finds its commands in a package: `spec.py` there holds the verb `spec` as `command`.

    A package there holds a group of its own. Adding a verb is adding a file.
    """

    def __init__(self, *args: Any, package: str, path: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self._path = list(path)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        names = (each.name for each in pkgutil.iter_modules(self._path))
        return sorted(name for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"{self._package}.{cmd_name}").command
        assert isinstance(command, click.Command)
        words = f"{self._package}.{cmd_name}".removeprefix("ampy_conformance.cli.").split(".")
        return _schema.offer(command, words)
