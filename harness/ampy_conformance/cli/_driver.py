"""The argument DRIVER, explained in the same words by every verb that takes one."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from ampy_conformance.driver.aliases import ALIASES

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]


def argument(*, required: bool = True) -> Callable[[Command], Command]:
    """Return a decorator that adds DRIVER, and what it can be behind the help's first sentence."""
    names = ", ".join(each for each in ALIASES if not each.startswith("raw-"))
    means = (
        f"DRIVER is the name of one that comes along ({names}), exec:COMMAND, "
        "py:package.module:Class or tcp:HOST:PORT."
    )

    def apply(command: Command) -> Command:
        first, _, rest = inspect.cleandoc(command.__doc__ or "").partition("\n\n")
        command.__doc__ = "\n\n".join(filter(None, (first, means, rest)))
        return click.argument("driver", required=required)(command)

    return apply
