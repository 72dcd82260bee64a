"""The consumer's side of the contract, without input or output of its own.

A state machine: records, verdicts and ticks go in, actions come out. Each partition key is a
queue whose head alone is being handled; while the head waits for a retry its key waits and
every other key goes on (ORD-01, ORD-04). Times are seconds of a monotonic clock, given.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ampy_conformance.bindings.records import fold

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from ampy_conformance.bindings.admission import Admission
    from ampy_conformance.bindings.deadletter import DeadLetters
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.retry import RetryPolicy
    from ampy_conformance.bindings.state import States
    from ampy_conformance.bindings.store import Store

MAX_DEAD_DELAY = 1.0
LOOK_AHEAD = 256  # records whose ids are looked up together


@dataclass(slots=True)
class Deliver:
    """Call the handler."""

    record: Record


@dataclass(slots=True)
class Ack:
    """Tell the broker that the record is done."""

    record: Record


@dataclass(frozen=True)
class WriteDead:
    """Publish the dead letter, then report through `dead_written`."""

    record: Record
    topic: str
    headers: dict[str, str]
    payload: bytes


@dataclass(frozen=True)
class Abandon:
    """The handler gave no verdict in time."""

    delivery: str


@dataclass(frozen=True)
class Progress:
    """Tell the broker that these records are still being worked on."""

    records: tuple[Record, ...]


Action = Deliver | Ack | WriteDead | Abandon | Progress


class ConsumerCore:
    """One member's handling of a group's records."""

    def __init__(
        self,
        admission: Admission,
        store: Store,
        policy: RetryPolicy,
        letters: DeadLetters,
        random: random.Random,
        *,
        credit: int,
        handler_timeout: float,
        progress_every: float,
        prefix: str = "d",
        states: States | None = None,
    ) -> None:
        self.admission = admission
        self.store = store
        self.policy = policy
        self.letters = letters
        self.random = random
        self.credit = credit
        self.handler_timeout = handler_timeout
        self.progress_every = progress_every
        self._prefix = prefix
        self.states = states
        self._number = 0
        self._queues: dict[str, deque[Record]] = {}
        self._ready: deque[str] = deque()
        self._held: dict[tuple[str, str, str], Record] = {}
        self._handling: dict[str, Record] = {}
        self._busy_ids: dict[str, Record] = {}
        self._due: dict[str, float] = {}
        self._dead_due: dict[tuple[str, str, str], float] = {}
        self._writing: set[tuple[str, str, str]] = set()
        self._progressed = 0.0
        self._gathering = False

    # -- input --------------------------------------------------------------------------

    def all_arrived(self, records: Sequence[Record], now: float) -> list[Action]:
        """Take records that came together, and begin with all of them at once."""
        actions: list[Action] = []
        self._gathering = True
        try:
            for each in records:
                actions += self.arrived(each, now)
        finally:
            self._gathering = False
        return [*actions, *self._work(now)]

    def all_settled(
        self, verdicts: Sequence[tuple[str, str]], now: float
    ) -> tuple[list[Record | None], list[Action]]:
        """Take verdicts that came together, each a delivery and what its handler says of it."""
        records: list[Record | None] = []
        actions: list[Action] = []
        self._gathering = True
        try:
            for delivery, verdict in verdicts:
                record, more = self.settled(delivery, verdict, now)
                records.append(record)
                actions += more
        finally:
            self._gathering = False
        return records, [*actions, *self._work(now)]

    def arrived(self, record: Record, now: float) -> list[Action]:
        """Take a record from the broker; one that is held already only renews its token."""
        place = record.place
        held = self._held.get(place)
        if held is not None:
            held.token = record.token
            return []
        record.known = fold(record.headers)
        self._held[place] = record
        record.lane = lane = self.lane(record)
        queue = self._queues.get(lane)
        if queue is None:
            self._queues[lane] = deque((record,))
            self._ready.append(lane)
        else:
            queue.append(record)
        return [] if self._gathering else self._work(now)

    def handled(self, records: Sequence[Record]) -> list[Record]:
        """Return those of these records that took effect, or are dead letters, already."""
        for each in records:
            if not each.ids:
                each.known = fold(each.headers)
                self._admit(each)
        if ids := [one for each in records for one in each.ids]:
            self.store.look(ids)
        return [each for each in records if self.duplicate(each)]

    def grant(self, count: int, now: float) -> list[Action]:
        """Allow so many more unsettled deliveries."""
        self.credit += count
        return self._work(now)

    def settled(
        self, delivery: str, verdict: str, now: float
    ) -> tuple[Record | None, list[Action]]:
        """Take a handler's verdict; None where the delivery is no longer open."""
        record = self._handling.pop(delivery, None)
        if record is None:
            return None, []
        if verdict == "ack":
            self.remember(record)
            actions = self._done(record)
        elif verdict == "reject":
            record.reason = "handler_error: rejected"
            actions = self._kill(record)
        else:
            actions = self._failed(record, "handler_error", now)
        return record, actions if self._gathering else [*actions, *self._work(now)]

    def dead_written(self, record: Record, ok: bool, now: float) -> list[Action]:
        """Take the broker's answer to a dead letter; nothing is dropped before it is stored."""
        self._writing.discard(record.place)
        if ok:
            # Its ids are not marked as seen: a redrive has to be handled (DLQ-13).
            self.store.bury(record.ids[0], record.burial, record.watermark)
        if self._held.get(record.place) is not record:
            return []  # taken away meanwhile
        if ok:
            return [*self._done(record), *self._work(now)]
        record.dead_attempts += 1
        delay = min(MAX_DEAD_DELAY, self.policy.delay(record.dead_attempts, self.random))
        self._dead_due[record.place] = now + delay
        return []

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        actions: list[Action] = []
        while self._handling:
            delivery, record = next(iter(self._handling.items()))  # the oldest
            if now - record.delivered_at < self.handler_timeout:
                break
            del self._handling[delivery]
            actions.append(Abandon(delivery))
            actions += self._failed(record, "timeout", now)
        for lane, due in list(self._due.items()):
            if due <= now:
                del self._due[lane]
                self._ready.append(lane)
        for place, due in list(self._dead_due.items()):
            if due <= now:
                del self._dead_due[place]
                actions += self._kill(self._held[place])
        if self._held and now - self._progressed >= self.progress_every:
            self._progressed = now
            actions.append(Progress(tuple(self._held.values())))
        return [*actions, *self._work(now)]

    def release(self, leaving: Callable[[Record], bool], now: float) -> list[Action]:
        """Let go of records that the broker gives to others, except those in work."""
        going = [each for each in self._held.values() if leaving(each) and not self._in_work(each)]
        for each in going:
            self._forget(each)
        return self._work(now)

    def in_work(self, leaving: Callable[[Record], bool]) -> list[Record]:
        """Return those records of which a handler, or the broker's dead letters, have to answer."""
        return [each for each in self._held.values() if leaving(each) and self._in_work(each)]

    def drop(self, leaving: Callable[[Record], bool], now: float) -> list[Action]:
        """Let go of all such records; a verdict that comes later is without effect."""
        actions: list[Action] = []
        for each in [each for each in self._held.values() if leaving(each)]:
            if each.delivery is not None and self._handling.pop(each.delivery, None) is not None:
                actions.append(Abandon(each.delivery))
            self._forget(each)
        return [*actions, *self._work(now)]

    def _in_work(self, record: Record) -> bool:
        return record.delivery in self._handling or record.place in self._writing

    def wake(self, now: float) -> float:
        """Return how many seconds may pass until the next tick."""
        times = [*self._due.values(), *self._dead_due.values()]
        if self._handling:
            oldest = next(iter(self._handling.values()))
            times.append(oldest.delivered_at + self.handler_timeout)
        if self._held:
            times.append(self._progressed + self.progress_every)
        return max(0.0, min(times, default=now + 1.0) - now)

    @property
    def held(self) -> list[Record]:
        """The records that were taken from the broker and are not done."""
        return list(self._held.values())

    @property
    def unsettled(self) -> int:
        """How many deliveries have no verdict yet."""
        return len(self._handling)

    # -- decisions, one method each -----------------------------------------------------

    def lane(self, record: Record) -> str:
        """Return what must be handled one after the other: a key, or a whole replay (RPL-09)."""
        return f"replay {record.replay}" if record.replay else record.key

    def remember(self, record: Record) -> None:
        """Keep that the record took effect, and what follows from it, before it is acknowledged.

        A member that was frozen may come to its verdict when another one has handled the record: then its
        state has changed already.
        """
        fresh = record.version == self.store.version() or not self.store.seen(record.ids)
        state = self.states.apply(record) if fresh and self.states is not None else None
        self.store.mark(record.ids, watermark=record.watermark, state=state)

    def next_lane(self, ready: deque[str]) -> str:
        """Take the key whose head comes next: the one that has waited longest."""
        return ready.popleft()

    def admission_ids(self, record: Record) -> tuple[str, ...]:
        """Return the ids of a record that was never admitted: its place in the log."""
        return (f"dead|{record.position}",)

    def duplicate(self, record: Record) -> bool:
        """Tell whether the record, or its like, took effect already, or is a dead letter."""
        return self.store.seen(record.ids) or (
            record.replay is None and self.store.buried(record.burial)
        )

    def tried(self, record: Record) -> int:
        """Return how often a handler was called for the record before."""
        return self.store.attempts(record.ids[0])

    def begin(self, record: Record) -> int:
        """Count an attempt before it begins, so that a crash counts (RTY-08)."""
        return self.store.begin(record.ids[0])

    def retry_at(self, record: Record, now: float) -> float:
        """Return when a failed record is tried again."""
        return now + self.policy.delay(record.attempt, self.random)

    # -- work ---------------------------------------------------------------------------

    def _work(self, now: float) -> list[Action]:
        """Start the heads of all keys that are ready, as far as credit goes."""
        actions: list[Action] = []
        if self._ready:
            self._look_ahead()
        while self._ready:
            if len(self._handling) >= self.credit:
                break
            lane = self.next_lane(self._ready)
            queue = self._queues.get(lane)
            if queue and not self._busy(queue[0], lane):
                actions += self._start(queue[0], lane, now)
        return actions

    def _look_ahead(self) -> None:
        """Ask the store about the next heads in one go."""
        room = min(self.credit - self.unsettled, LOOK_AHEAD)
        ids: list[str] = []
        for lane in islice(self._ready, max(0, room)):
            queue = self._queues.get(lane)
            if queue:
                record = queue[0]
                if not record.ids:
                    self._admit(record)
                if not record.refused:
                    ids += record.ids
        if ids:
            self.store.look(ids)

    def _admit(self, record: Record) -> None:
        """Let admission judge a record; it has ids from then on."""
        refusal = self.admission.refusal(record)
        if refusal is not None:
            record.reason, record.refused = refusal, True
            record.ids = self.admission_ids(record)
        else:
            record.ids = self.admission.ids(record)
            record.body = self.admission.body(record)

    def _busy(self, head: Record, lane: str) -> bool:
        """Tell whether the head of a key has begun already: letting go makes lanes ready twice."""
        return self._in_work(head) or lane in self._due or head.place in self._dead_due

    def _start(self, record: Record, lane: str, now: float) -> list[Action]:
        if not record.ids:
            self._admit(record)
        if self.duplicate(record):
            return self._done(record)
        if record.refused:
            return self._kill(record)
        busy, ids = self._busy_ids, record.ids
        for each in ids:
            if busy.get(each, record) is not record:
                # Its like is being handled under another key: wait for the outcome.
                self._due[lane] = now + 0.02
                return []
        tried = self.tried(record)
        if tried and self.policy.exhausted(tried, self.admission.qos(record.topic)):
            record.attempt = tried  # by those who crashed meanwhile
            return self._give_up(record, "timeout")
        record.attempt = self.begin(record)
        record.version = self.store.version()
        self._number += 1
        record.delivery = f"{self._prefix}{self._number}"
        record.delivered_at = now
        self._handling[record.delivery] = record
        for each in ids:
            busy[each] = record
        return [Deliver(record)]

    def _failed(self, record: Record, kind: str, now: float) -> list[Action]:
        record.trouble = kind
        if self.policy.exhausted(record.attempt, self.admission.qos(record.topic)):
            return self._give_up(record, kind)
        self._due[record.lane] = self.retry_at(record, now)
        return []

    def _give_up(self, record: Record, kind: str) -> list[Action]:
        if record.dead:
            # A failing dead letter makes no other (DLQ-11); it stays where it is, in the DLQ.
            return self._done(record)
        record.reason = f"{kind}: {record.attempt} attempts exhausted"
        return self._kill(record)

    def _kill(self, record: Record) -> list[Action]:
        letters = self.letters
        self._writing.add(record.place)
        return [
            WriteDead(
                record, letters.topic(record), letters.headers(record), letters.payload(record)
            )
        ]

    def _done(self, record: Record) -> list[Action]:
        """Take the record out of its key, acknowledge it, and let the next one begin."""
        self._forget(record)
        return [Ack(record)]

    def _forget(self, record: Record) -> None:
        """Take the record out of its key; where it stood in front, the next one is ready."""
        lane, place = record.lane, record.place
        queue = self._queues[lane]
        first = queue[0] is record
        if first:
            queue.popleft()
            self._due.pop(lane, None)
            if queue:
                self._ready.append(lane)
        else:
            queue.remove(record)
        if not queue:
            del self._queues[lane]
        self._held.pop(place, None)
        self._dead_due.pop(place, None)
        for each in record.ids:
            if self._busy_ids.get(each) is record:
                del self._busy_ids[each]
