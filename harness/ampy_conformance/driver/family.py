"""Processes that a driver has started, found in /proc; elsewhere than on Linux nothing is found."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

# A process that is ending is given this long to be gone.
GRACE = 0.5


@dataclass(frozen=True)
class Relative:
    """A process; `started` tells it from a later one of the same number."""

    pid: int
    parent: int
    session: int
    name: str
    started: str
    gone: bool

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


def descendants(pid: int | None) -> list[Relative]:
    """Return the living processes below this one, also those that left its process group."""
    if pid is None:
        return []
    everyone = _everyone()
    family, found = {pid}, list[Relative]()
    while True:
        more = [each for each in everyone if each.parent in family and each.pid not in family]
        if not more:
            return [each for each in found if not each.gone]
        family |= {each.pid for each in more}
        found += more


def companions(pid: int) -> list[str]:
    """Return the living processes that are in this one's session, besides itself."""
    return [
        str(each)
        for each in _everyone()
        if each.session == pid and each.pid != pid and not each.gone
    ]


def end(relatives: list[Relative]) -> list[str]:
    """Kill those of these processes that still live after a moment, and return them."""
    alive = _after_a_moment(relatives)
    for each in alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(each.pid, signal.SIGKILL)
    _after_a_moment(alive)
    return [str(each) for each in alive]


def _after_a_moment(relatives: list[Relative]) -> list[Relative]:
    """Wait for these processes to be gone, and return those that are not."""
    deadline = time.monotonic() + GRACE
    alive = _alive(relatives)
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = _alive(relatives)
    return alive


def _alive(relatives: list[Relative]) -> list[Relative]:
    found = []
    for each in relatives:
        now = _read(each.pid)
        if now is not None and now.started == each.started and not now.gone:
            found.append(each)
    return found


def _everyone() -> list[Relative]:
    try:
        names = [each.name for each in Path("/proc").iterdir()]
    except OSError:
        return []
    found = [_read(int(each)) for each in names if each.isdigit()]
    return [each for each in found if each is not None]


def _read(pid: int) -> Relative | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    head, _, rest = text.rpartition(")")
    fields = rest.split()
    return Relative(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        name=head.partition("(")[2],
        started=fields[19],
        gone=fields[0] in "ZX",
    )
