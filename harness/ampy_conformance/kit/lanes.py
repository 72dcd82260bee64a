"""Which requests wait for which: order where the protocol promises it, no waiting elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from ampy_conformance.kit.base import Frame

# The first of these that a request names is its lane.
HANDLES = ("producer", "subscription", "bus")

Task = asyncio.Task[None]


@dataclass
class _Lane:
    last: Task | None = None  # the last request that had the lane to itself
    beside: set[Task] = field(default_factory=set)  # those that came after it


class Lanes:
    """Requests on the same handle: one after the other, or beside each other."""

    def __init__(self, concurrent: Collection[str]) -> None:
        self._concurrent = concurrent
        self._lanes: dict[tuple[str, str], _Lane] = {}

    def before(self, frame: Frame) -> set[Task]:
        """Return the tasks that must have ended before this request may start."""
        lane = self._lanes.get(_name(frame))
        if lane is None:
            return set()
        last = {lane.last} if lane.last is not None else set()
        return last if frame["op"] in self._concurrent else last | lane.beside

    def enter(self, frame: Frame, task: Task) -> None:
        """Note the task of a request; it leaves its lane by itself when it is done."""
        name = _name(frame)
        if not name[0]:
            return
        lane = self._lanes.setdefault(name, _Lane())
        if frame["op"] in self._concurrent:
            lane.beside.add(task)
        else:
            lane.last = task
            lane.beside = set()
        task.add_done_callback(lambda done: self._leave(name, done))

    def _leave(self, name: tuple[str, str], task: Task) -> None:
        lane = self._lanes.get(name)
        if lane is None:
            return
        lane.beside.discard(task)
        if lane.last is task:
            lane.last = None
        if lane.last is None and not lane.beside:
            del self._lanes[name]


def _name(frame: Frame) -> tuple[str, str]:
    return next(((each, frame[each]) for each in HANDLES if each in frame), ("", ""))
