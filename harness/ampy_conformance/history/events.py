"""Events and the recorder that keeps them, in the order in which the harness saw them.

The columns are those of `docs/verdicts.md`, section "The history". Payloads never enter
the history: a record is known by the SHA-256 of its decoded payload.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `t_ns` is the harness's monotonic clock, absent facts are None."""

    seq: int
    t_ns: int
    kind: str
    actor: str = "harness"
    incarnation: int = 0
    uid: str | None = None
    message_id: str | None = None
    dedupe_key: str | None = None
    topic: str | None = None
    key: str | None = None
    producer: str | None = None
    pseq: int | None = None
    group: str | None = None
    subscription: str | None = None
    delivery: str | None = None
    attempt: int | None = None
    position: str | None = None
    body_hash: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return the facts that are present, ready for JSON."""
        return {name: each for name, each in asdict(self).items() if each not in (None, {})}


class Recorder:
    """Numbers events, keeps them in memory, and hands each to `sink` where there is one."""

    def __init__(self, sink: Callable[[Event], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._sink = sink

    def add(self, kind: str, **facts: Any) -> Event:
        """Record one event of `kind` now."""
        with self._lock:
            event = Event(seq=len(self._events), t_ns=time.monotonic_ns(), kind=kind, **facts)
            self._events.append(event)
            if self._sink is not None:
                self._sink(event)
        return event

    def __iter__(self) -> Iterator[Event]:
        with self._lock:
            return iter(list(self._events))

    def __len__(self) -> int:
        return len(self._events)
