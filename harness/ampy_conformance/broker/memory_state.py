"""What the memory broker holds: lanes, logs, consumer groups. No input or output, no clock.

Times are seconds on whatever monotonic clock the caller has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker import subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Send = Callable[[dict[str, Any]], None]

# As NATS: headers and payload together, 1 MiB.
MAX_RECORD_BYTES = 1048576


class RefusedError(Exception):
    """A request that the broker does not carry out; `code` as in the protocol."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True)
class Record:
    """One record; `payload` stays base64 text, `size` is headers and payload in bytes."""

    topic: str
    headers: list[list[str]]
    payload: str
    size: int
    t_ns: int

    def frame(self) -> dict[str, Any]:
        """Return the fields of this record in a frame."""
        return {
            "topic": self.topic,
            "headers": self.headers,
            "payload": self.payload,
            "t_ns": self.t_ns,
        }


@dataclass
class Stream:
    """An append-only log; positions count from 1."""

    name: str
    patterns: list[str]
    log: list[Record] = field(default_factory=list)
    full: bool = False


@dataclass(eq=False)
class Member:
    """One connection's place in a group; `send` takes event frames."""

    consumer: str
    name: str
    send: Send


@dataclass
class Pending:
    """A record given out and not acknowledged: delivered (again) when `due` has come."""

    attempts: int
    due: float


class Group:
    """A durable consumer: outlives its members; one of them is active at a time."""

    def __init__(self, stream: Stream, name: str, patterns: list[str], start: str) -> None:
        self.stream = stream
        self.name = name
        self.patterns = patterns
        self.redelivery = 30.0
        self.max_pending = 256
        self.pending: dict[int, Pending] = {}
        self.members: list[Member] = []
        self._next = len(stream.log) + 1 if start == "latest" else 1
        self._delivered = self._next - 1

    @property
    def active(self) -> Member | None:
        """The member that is given the records: the one that has waited longest."""
        return self.members[0] if self.members else None

    def join(self, member: Member) -> None:
        """Add a member; the first one is active at once."""
        self.members.append(member)

    def leave(self, member: Member) -> None:
        """Take a member out; what the active one had open is due at once, for the next."""
        was_active = member is self.active
        self.members.remove(member)
        if was_active:
            for each in self.pending.values():
                each.due = 0.0
            if self.active is not None:
                self.active.send({"event": "active", "consumer": self.active.consumer})

    def ack(self, positions: Sequence[int]) -> int:
        """Settle records for good; return how many of them were open."""
        return sum(self.pending.pop(each, None) is not None for each in positions)

    def postpone(self, positions: Sequence[int], due: float) -> int:
        """Set when records are delivered again; return how many of them were open."""
        found = [self.pending[each] for each in positions if each in self.pending]
        for each in found:
            each.due = due
        return len(found)

    def pump(self, now: float) -> float | None:
        """Send what is due to the active member; return when to look again, if ever.

        What is due again goes first, in the order of the log.
        """
        if self.active is None:
            return None
        for position in sorted(self.pending):
            if self.pending[position].due <= now:
                self._deliver(position, now)
        while self._next <= len(self.stream.log):
            if len(self.pending) >= self.max_pending:
                break
            position = self._next
            self._next += 1
            if subjects.any_matches(self.patterns, self.stream.log[position - 1].topic):
                self.pending[position] = Pending(attempts=0, due=now)
                self._deliver(position, now)
        return min((each.due for each in self.pending.values()), default=None)

    def _deliver(self, position: int, now: float) -> None:
        assert self.active is not None
        pending = self.pending[position]
        pending.attempts += 1
        pending.due = now + self.redelivery
        self._delivered = max(self._delivered, position)
        self.active.send(
            {
                "event": "deliver",
                "consumer": self.active.consumer,
                "position": str(position),
                "attempt": pending.attempts,
                **self.stream.log[position - 1].frame(),
            }
        )

    def state(self) -> dict[str, Any]:
        """Return the numbers an observer wants."""
        waiting = self.stream.log[self._next - 1 :]
        return {
            "stream": self.stream.name,
            "group": self.name,
            "patterns": self.patterns,
            "members": [each.name for each in self.members],
            "pending": sum(subjects.any_matches(self.patterns, each.topic) for each in waiting),
            "pending_acks": len(self.pending),
            "redelivered": sum(each.attempts > 1 for each in self.pending.values()),
            "delivered": self._delivered,
            "ack_floor": min(self.pending) - 1 if self.pending else self._next - 1,
        }


class Lane:
    """An isolated part of the broker: its own streams, groups and taps."""

    def __init__(self, token: str, streams: Mapping[str, list[str]]) -> None:
        self.token = token
        self.streams = {name: Stream(name, patterns) for name, patterns in streams.items()}
        self.groups: dict[tuple[str, str], Group] = {}
        self.taps: list[Send] = []

    def stream(self, name: str) -> Stream:
        """Return a stream by name."""
        if name not in self.streams:
            raise RefusedError("unknown_stream", f"there is no stream {name!r}")
        return self.streams[name]

    def publish(self, record: Record) -> tuple[Stream, int]:
        """Append a record to the stream that takes its topic; taps see it in any case."""
        for tap in self.taps:
            tap({"event": "tap", **record.frame()})
        if not subjects.is_literal(record.topic):
            raise RefusedError("bad_topic", "a topic has no empty tokens, blanks or wildcards")
        if record.size > MAX_RECORD_BYTES:
            raise RefusedError("too_large", f"a record has at most {MAX_RECORD_BYTES} bytes")
        for stream in self.streams.values():
            if subjects.any_matches(stream.patterns, record.topic):
                if stream.full:
                    raise RefusedError("full", f"stream {stream.name} is full")
                stream.log.append(record)
                return stream, len(stream.log)
        raise RefusedError("no_stream", "no stream takes this topic")

    def group(self, stream: str, name: str, patterns: list[str], start: str) -> Group:
        """Return a group, made if it is new; a known one must have the same patterns."""
        known = self.groups.get((stream, name))
        if known is None:
            known = Group(self.stream(stream), name, patterns, start)
            self.groups[stream, name] = known
        elif known.patterns != patterns:
            raise RefusedError("exists", f"group {name!r} exists with other patterns")
        return known
