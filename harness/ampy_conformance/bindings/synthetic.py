"""Peers whose latency is known, because they make it up: what the load tests have to find out.

Nothing is sent to any broker, but by `Stored`. The sending process leaves its schedule in the state
directory, the receiving one reads it there, and both invent stamps by the same rule. They tell
them when the load is over, as real ones do.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ampy_conformance import __version__
from ampy_conformance.bindings.memory_transport import MemoryTransport
from ampy_conformance.bindings.transport import Tuning
from ampy_conformance.kit import Driver
from ampy_conformance.kit.load import Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.kit.base import Frame

MS = 1_000_000
CHUNK = 10_000
LOOK = 0.02


class Synthetic(Driver):
    """The rule is `invent`; subclasses have their own."""

    identity: ClassVar[dict[str, str]] = {
        "name": "synthetic",
        "version": __version__,
        "language": "python",
        "broker": "memory",
    }
    profiles: ClassVar[tuple[str, ...]] = ("core", "slo")

    def __init__(self, emit: Callable[[Frame], None]) -> None:
        super().__init__(emit)
        self.folders: dict[str, Path] = {}
        self.domains: dict[str, str] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def invent(self, schedule: list[int], rng: random.Random) -> list[tuple[int, int, int | None]]:
        """Return (called, answered, delivered or None) of every record, ns from the start."""
        raise NotImplementedError

    async def open(self, frame: Frame) -> None:
        """Need no broker."""
        self.folder = Path(frame["state_dir"])

    async def open_producer(self, frame: Frame) -> None:
        """Need no producer."""

    async def subscribe(self, frame: Frame) -> Frame:
        """Remember the domain."""
        self.domains[frame["subscription"]] = frame["pattern"].split(".")[2]
        return {"consumers": []}

    async def unsubscribe(self, frame: Frame) -> None:
        """Need nothing."""

    async def close(self, frame: Frame) -> None:
        """Need nothing."""

    async def load_plan(self, frame: Frame) -> None:
        """Begin to pretend."""
        work = self._receive(frame) if "subscription" in frame else self._send(frame)
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _plan(self, first: int) -> Path:
        return self.folder / f"plan-{first}.json"

    async def _send(self, frame: Frame) -> None:
        domains = [each["topic"].split(".")[2] for each in frame["templates"]]
        mine = [domains[each] for each in frame["picks"]]
        path = self._plan(frame["first"])
        part = path.with_suffix(".part")
        part.write_text(json.dumps([frame["schedule"], mine]), "utf-8")
        part.rename(path)
        rows = self.invent(frame["schedule"], self._rng(frame))
        await self._until(frame, max((each[1] for each in rows), default=0))
        numbers = [frame["first"] + each for each in range(len(rows))]
        self.tell(
            frame,
            numbers=numbers,
            called_ns=[each[0] for each in rows],
            returned_ns=[each[1] for each in rows],
            outcomes=[0] * len(rows),
        )

    async def _receive(self, frame: Frame) -> None:
        path = self._plan(frame["first"])
        while not path.exists():  # noqa: ASYNC110 (the other process is about to write it)
            await asyncio.sleep(LOOK)
        schedule, domains = json.loads(path.read_text("utf-8"))
        mine = self.domains[frame["subscription"]]
        found = [
            (frame["first"] + index, row[2])
            for index, row in enumerate(self.invent(schedule, self._rng(frame)))
            if row[2] is not None and domains[index] == mine and row[2] <= frame["until_ns"]
        ]
        await self._until(frame, max((at for _, at in found), default=0))
        self.tell(
            frame,
            numbers=[number for number, _ in found],
            delivered_ns=[at for _, at in found],
            repeats=0,
        )

    def tell(self, frame: Frame, **columns: Any) -> None:
        """Send the samples, and the end."""
        arrays = {name: each for name, each in columns.items() if isinstance(each, list)}
        for begin in range(0, len(columns["numbers"]), CHUNK):
            part = {name: each[begin : begin + CHUNK] for name, each in arrays.items()}
            self.emit("load_samples", load=frame["load"], **part)
        self.emit("load_samples", load=frame["load"], done=True)

    @staticmethod
    def _rng(frame: Frame) -> random.Random:
        return random.Random(f"{frame['marker']}{frame['first']}")

    @staticmethod
    async def _until(frame: Frame, ns: int) -> None:
        left = (frame["start_ns"] + ns - time.monotonic_ns()) / 1e9
        await asyncio.sleep(max(0.0, left) + LOOK)


class Constant(Synthetic):
    """Every record takes ten milliseconds."""

    base: ClassVar[int] = 10 * MS

    def invent(self, schedule: list[int], rng: random.Random) -> list[tuple[int, int, int | None]]:  # noqa: ARG002
        return [(at, at + MS, at + self.base) for at in schedule]


class Stored(Constant):
    """Stores what it tells of, beside inventing when: nobody else passes."""

    async def open(self, frame: Frame) -> None:
        """Connect to the memory broker."""
        await super().open(frame)
        self._transport = MemoryTransport()
        await self._transport.connect(frame["url"], frame["names"], Tuning())

    async def _send(self, frame: Frame) -> None:
        made = [Template.of(each, frame["marker"]) for each in frame["templates"]]
        for index, pick in enumerate(frame["picks"]):
            record = made[pick].fill(frame["first"] + index)
            await self._transport.publish(record["topic"], {}, record["payload"], None)
        await super()._send(frame)


class Slow(Constant):
    """Every record takes sixty milliseconds."""

    base = 60 * MS


class Bursty(Synthetic):
    """Serves at once, but for stalls of 100 ms on average: some 5 % are late by more than 50 ms."""

    gap: ClassVar[float] = 1.1

    def invent(self, schedule: list[int], rng: random.Random) -> list[tuple[int, int, int | None]]:
        found: list[tuple[int, int, int | None]] = []
        begin = rng.expovariate(1 / self.gap)
        end = begin + rng.expovariate(10)
        for at in schedule:
            while at / 1e9 >= end:
                begin = end + rng.expovariate(1 / self.gap)
                end = begin + rng.expovariate(10)
            wait = int((end - at / 1e9) * 1e9) if at / 1e9 >= begin else 0
            found.append((at, at + MS, at + wait + 2 * MS))
        return found


class Blocking(Synthetic):
    """The call blocks for 700 ms of every second, and is quick from the actual send on."""

    def invent(self, schedule: list[int], rng: random.Random) -> list[tuple[int, int, int | None]]:  # noqa: ARG002
        found: list[tuple[int, int, int | None]] = []
        for at in schedule:
            into = at % (1000 * MS)
            called = at if into >= 700 * MS else at - into + 700 * MS
            found.append((called, called + MS, called + 2 * MS))
        return found


class Lossy(Constant):
    """One record in ten never comes, though it was acknowledged."""

    def invent(self, schedule: list[int], rng: random.Random) -> list[tuple[int, int, int | None]]:
        rows = super().invent(schedule, rng)
        return [(called, after, None if rng.random() < 0.1 else at) for called, after, at in rows]


class StalledOnce(Synthetic):
    """Stands still for half a second once in every load, as a machine may."""

    def invent(self, schedule: list[int], rng: random.Random) -> list[tuple[int, int, int | None]]:  # noqa: ARG002
        begin = schedule[len(schedule) // 2] if schedule else 0
        end = begin + 500 * MS
        return [(at, at + MS, max(at + MS, end if begin <= at < end else 0)) for at in schedule]


class Skewed(Constant):
    """Its clock is five seconds ahead."""

    async def clock(self, frame: Frame) -> Frame:  # noqa: ARG002 (the kit's signature)
        """Answer with another clock."""
        return {"t_ns": time.monotonic_ns() + 5_000 * MS}


class Backwards(Constant):
    """Its clock goes backwards during the load: answers come before calls."""

    def invent(self, schedule: list[int], rng: random.Random) -> list[tuple[int, int, int | None]]:
        rows = super().invent(schedule, rng)
        return [(called, after - 2 * MS, at) for called, after, at in rows]


class Eager(Constant):
    """Needs sixty milliseconds, and sends each record forty-five before it is due."""

    def invent(self, schedule: list[int], rng: random.Random) -> list[tuple[int, int, int | None]]:  # noqa: ARG002
        early = 45 * MS
        return [(max(0, at - early), at, max(0, at - early) + 60 * MS) for at in schedule]


class Unsent(Constant):
    """Delivers what it never tells to have sent."""

    def tell(self, frame: Frame, **columns: Any) -> None:
        """Say nothing of what was sent."""
        if "called_ns" in columns:
            columns = {name: [] for name in columns}
        super().tell(frame, **columns)


class Fractional(Constant):
    """Stamps with numbers that JSON Schema takes for integers."""

    def tell(self, frame: Frame, **columns: Any) -> None:
        """Stamp so."""
        if "delivered_ns" in columns:
            columns["delivered_ns"] = [float(each) for each in columns["delivered_ns"]]
        super().tell(frame, **columns)


class Ancient(Constant):
    """Stamps a delivery ages before the load."""

    def tell(self, frame: Frame, **columns: Any) -> None:
        """Stamp so."""
        if "delivered_ns" in columns:
            columns["delivered_ns"] = [-(10**19) for _ in columns["delivered_ns"]]
        super().tell(frame, **columns)


class Prophetic(Constant):
    """Delivers before the record was sent."""

    base = -5 * MS


class Nonsense(Constant):
    """Stamps records that nobody sent."""

    def tell(self, frame: Frame, **columns: Any) -> None:
        """Add to the numbers."""
        columns["numbers"] = [each + 10**9 for each in columns["numbers"]]
        super().tell(frame, **columns)


class Ragged(Constant):
    """Tells arrays that are not of one length."""

    def tell(self, frame: Frame, **columns: Any) -> None:
        """Leave out a number."""
        columns["numbers"] = columns["numbers"][1:]
        super().tell(frame, **columns)


class Silent(Constant):
    """Takes the plan, and never tells anything of it."""

    def tell(self, frame: Frame, **columns: Any) -> None:
        """Say nothing."""
