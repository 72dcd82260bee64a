"""The state of the machine while a load runs: late timers, pressure, who used the processor."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ampy_conformance.driver.family import descendants
from ampy_conformance.load.exceedance import percentile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PERIOD = 0.001
TICKS = os.sysconf("SC_CLK_TCK")
# Others that take more of the machine than this, or timers that are later, can starve somebody.
FOREIGN = 0.15
LATE_NS = 15_000_000
WAITED = 0.1
# A process that used, and waited for, less of one processor than this did not need more of it.
HUNGRY = 0.5


class Hiccups:
    """A thread that sleeps a millisecond again and again, and notes by how much it overslept."""

    def __init__(self) -> None:
        self._late = array("q")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hiccups", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        clock = time.monotonic_ns
        before = clock()
        while not self._ended.is_set():
            time.sleep(PERIOD)
            now = clock()
            self._late.append(now - before - int(PERIOD * 1e9))
            before = now

    def facts(self) -> dict[str, float]:
        """Return how late the timer was, in ms."""
        found = sorted(self._late)
        if not found:
            return {}
        shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
        return {name: round(percentile(found, each) / 1e6, 3) for name, each in shares.items()}


@dataclass(frozen=True)
class Snapshot:
    """Processor seconds so far: of the machine (busy, and all there were), of ours by name.

    `waited`: seconds for which each thread of a process was ready and had no processor, by its id.
    On a system without /proc everything but timers is unknown.
    """

    at: float
    busy: float
    whole: float
    ours: Mapping[str, float]
    waited: Mapping[str, Mapping[str, float]]
    pressure_us: int | None


def snapshot(side: Mapping[str, int], beside: Mapping[str, int]) -> Snapshot:
    """Look at the machine, at the processes of a side (by id) with all below them, and at others.

    A driver may be behind a shell or a launcher, which uses nothing itself.
    """
    busy, whole = _machine()
    families = {name: [pid, *(e.pid for e in descendants(pid))] for name, pid in side.items()}
    families |= {name: [pid] for name, pid in beside.items()}
    spent = {name: sum(map(_spent, pids)) for name, pids in families.items()}
    waited = {name: _waited(pids) for name, pids in families.items()}
    return Snapshot(time.monotonic(), busy, whole, spent, waited, _pressure())


@dataclass(frozen=True)
class Usage:
    """What happened between two snapshots; shares of the machine, or of one processor."""

    foreign: float | None
    ours: Mapping[str, float]
    waited: Mapping[str, float]
    pressure: float | None
    hiccups: Mapping[str, float]

    def starved(self, side: Iterable[str]) -> str:
        """Return why a side that was slow may have been starved, "" where it was not.

        Late timers: nobody can be on time. Somebody else at the processors: that needs a process of
        this side that was hungry for one, which it shows by using or by waiting for it; who waits
        for a timer is slow by its own doing.
        """
        late = self.hiccups.get("p99", 0.0)
        if late * 1e6 > LATE_NS:
            return f"the machine is busy: timers were {late:.0f} ms late at p99"
        for name in sorted(side, key=lambda each: -self.waited.get(each, 0.0)):
            waited = self.waited.get(name, 0.0)
            busy = waited > WAITED or (self.foreign or 0.0) > FOREIGN
            if busy and self.ours.get(name, 0.0) + waited >= HUNGRY:
                others = self.foreign or 0.0
                why = "busy" if others > FOREIGN else "too small for this load"
                return (
                    f"the machine is {why}: the {name} waited {waited:.0%} of the time for a "
                    f"processor, and others used {others:.0%} of the machine"
                )
        return ""

    def facts(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return {
            "foreign": None if self.foreign is None else round(self.foreign, 3),
            "processors": {name: round(each, 3) for name, each in self.ours.items()},
            "waited": {name: round(each, 3) for name, each in self.waited.items()},
            "pressure": None if self.pressure is None else round(self.pressure, 3),
            "hiccups_ms": dict(self.hiccups),
        }


def between(before: Snapshot, after: Snapshot, hiccups: Mapping[str, float]) -> Usage:
    """Return what was used between two snapshots."""
    seconds = max(1e-9, after.at - before.at)
    ours = {
        name: (each - before.ours.get(name, 0.0)) / seconds for name, each in after.ours.items()
    }
    waited = {}
    for name, threads in after.waited.items():
        old = before.waited.get(name, {})
        most = max((each - old.get(thread, 0.0) for thread, each in threads.items()), default=0.0)
        waited[name] = most / seconds
    whole = after.whole - before.whole
    foreign = None
    if whole > 0:
        foreign = max(0.0, (after.busy - before.busy - sum(ours.values()) * seconds) / whole)
    pressure = None
    if before.pressure_us is not None and after.pressure_us is not None:
        pressure = (after.pressure_us - before.pressure_us) / 1e6 / seconds
    return Usage(foreign, ours, waited, pressure, hiccups)


def _machine() -> tuple[float, float]:
    """Return the seconds of all processors: busy (stolen ones too), and in all."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        numbers = [
            int(each) for each in Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:9]
        ]
        idle = numbers[3] + numbers[4]
        return (sum(numbers) - idle) / TICKS, sum(numbers) / TICKS
    return 0.0, 0.0


def _spent(pid: int) -> float:
    """Return the processor seconds of a process, its ended children among them."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return sum(int(each) for each in fields[11:15]) / TICKS
    return 0.0


def _waited(pids: Iterable[int]) -> dict[str, float]:
    """Return the seconds for which each thread of these processes waited for a processor."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for each in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    waited = int((each / "schedstat").read_text("ascii").split()[1])
                    found[each.name] = waited / 1e9
    return found


def _pressure() -> int | None:
    """Return the microseconds in which somebody waited for a processor."""
    with contextlib.suppress(OSError, ValueError):
        some = Path("/proc/pressure/cpu").read_text("ascii").splitlines()[0]
        return int(some.rpartition("=")[2])
    return None
