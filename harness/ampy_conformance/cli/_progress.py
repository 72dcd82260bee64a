"""How far a run is, where no terminal shows a bar: a log of CI, or `--json` in a pipe."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERY = 10.0  # seconds between lines


class Lines:
    """Writes a line on standard error every ten seconds, from whatever thread it is told."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._began = time.monotonic()
        self._next = EVERY
        self._lock = threading.Lock()

    def tell(self, what: str) -> None:
        """Say how far it is, if the last line is long enough ago."""
        with self._lock:
            passed = time.monotonic() - self._began
            if passed >= self._next:
                self._next = passed + EVERY
                line = f"{passed:6.0f} s  {what}"
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextlib.contextmanager
def shown(what: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show what is being done, and yield what is told of the next step; `quiet`: without a spinner."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield Lines().tell
        return
    with console.status(what) as status:
        yield lambda step: status.update(escape(step))
