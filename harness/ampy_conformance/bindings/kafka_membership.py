"""One member of a Kafka consumer group.

A thread polls, and it alone calls the consumer: while it polls, calls of others would wait for
their turn. Everything that decides happens on the event loop, which leaves orders for the thread.
Offsets are committed by hand, and only as far as every record before them is settled: what lies
behind a gap comes again after a crash, and is told apart by the seen-state.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from ampy_conformance.bindings.kafka_cluster import ASK_SECONDS, committed, settings, trouble
from ampy_conformance.bindings.kafka_records import may_hold, record_of
from ampy_conformance.bindings.transport import CONFIRMED, NOT_YET, Unknown
from ampy_conformance.contract import topics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import KafkaError, Message

    from ampy_conformance.bindings.kafka_cluster import Cluster, Offsets, Partition
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.transport import Confirmed, Shifts, Tuning

# How long a poll lasts: orders wait for its end, records and answers end it at once.
POLL = 0.1
POLL_AT_WORK = 0.008  # somebody works on records, and will soon have them committed
POLL_SLOW_WORK = 0.02
SLOW = 1.0  # seconds without a sign of that
BATCH = 256
PAUSE_AFTER = 0.1  # seconds without room
JOIN_PATIENCE = 1.0  # a member for which no partition is left is never told so
REVOKE_PATIENCE = 2.0  # for handlers at work when a partition goes to another member
COMMIT_PAUSE = 0.3
# Between commits, so that one carries many: each is a record that the broker has to store.
COMMIT_EVERY = 0.02
LOOK_AGAIN = 1.0  # seconds between looks for new topics of a pattern with open ends


class Ledger:
    """Which records of one partition were handed over, and which of them are settled."""

    def __init__(self) -> None:
        self._open: deque[int] = deque()
        self._settled: set[int] = set()
        self.mine = False  # this member has the partition, as far as the loop has heard
        self.prefix: int | None = None  # the offset behind the last record of the settled prefix
        self.wanted: int | None = None  # the prefix that is still to be committed
        self.stored: int = -1  # the prefix that the broker has confirmed

    def begin(self, offset: int) -> None:
        """Take note of a record, in the order of the partition."""
        self._open.append(offset)

    def settle(self, offset: int) -> None:
        """Settle a record, and move the prefix as far as it goes."""
        self._settled.add(offset)
        while self._open and self._open[0] in self._settled:
            done = self._open.popleft()
            self._settled.discard(done)
            self.prefix = self.wanted = done + 1

    @property
    def beyond(self) -> int:
        """How many records are settled behind one that is not."""
        return len(self._settled)

    @property
    def unsettled(self) -> int:
        """How many records were handed over and are not settled."""
        return len(self._open) - len(self._settled)


@dataclass(eq=False, slots=True)
class Unconfirmed:
    """An acknowledgement that waits for its commit."""

    record: Record
    offset: int
    confirmed: Confirmed
    done: bool = False

    def say(self, *, done: bool) -> None:
        """Tell, once, whether the broker has confirmed it."""
        self.done = True
        self.confirmed(self.record, done)


class KafkaMembership:
    """A membership in a group, with the consumer protocol of KIP-848."""

    ledger: type[Ledger] = Ledger

    def __init__(
        self,
        cluster: Cluster,
        pattern: str,
        group: str,
        member: str,
        tuning: Tuning,
        taken: Callable[[Record], None],
        shifts: Shifts | None,
    ) -> None:
        self.name = group
        self.pattern = pattern
        self._cluster = cluster
        self._member = member
        self._tuning = tuning
        self._taken = taken
        self._shifts = shifts
        self._loop = asyncio.get_running_loop()
        self._assigned = asyncio.Event()
        self._ledgers: dict[Partition, Ledger] = {}
        self._partitions: dict[str, int] = {}
        self._waiting: list[Unconfirmed] = []
        self._sent: deque[dict[Partition, Ledger]] = deque()  # commits without an answer yet
        self._resting = False  # one has just gone out
        self._ended = threading.Event()
        self._orders: deque[Callable[[], None]] = deque()  # of the loop, for the thread
        self._settled = 0  # counted by the loop alone
        # What follows is the thread's alone.
        self._taken_over = 0
        self._paused = False
        self._full_at: float | None = None  # since when there is no room
        self._busy_until = 0.0
        self._current: dict[Partition, Ledger] = {}

    # -- beginning and end --------------------------------------------------------------

    async def begin(self, partitions: dict[str, int], *, look: bool) -> None:
        """Join with these topics; `look` for new ones of the pattern from then on."""
        self._partitions = partitions
        self.consumer = self._make()
        if partitions:
            self._subscribe()
        self._thread = threading.Thread(target=self._poll, name="kafka-consumer", daemon=True)
        self._thread.start()
        if partitions:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._assigned.wait(), JOIN_PATIENCE)
        self._looking = asyncio.ensure_future(self._look()) if look else None

    def _make(self) -> Consumer:
        return Consumer({**settings(self._cluster.address), **self.options()})

    def options(self) -> dict[str, Any]:
        """Return what makes this client a member: nothing is committed behind its back."""
        return {
            "group.id": self.name,
            "client.id": self._member,
            "group.protocol": "consumer",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",  # topics made later; for others see `Cluster.place`
            "fetch.error.backoff.ms": 20,
            "fetch.queue.backoff.ms": 20,
            "topic.metadata.refresh.interval.ms": 5000,
            "on_commit": self.on_commit,
        }

    def _subscribe(self) -> None:
        self.consumer.subscribe(
            list(self._partitions),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    async def _look(self) -> None:
        """Subscribe anew when there are topics that were not there before."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            with contextlib.suppress(Exception):
                found = await self._cluster.topics()
                fresh = {n: count for n, count in found.items() if may_hold(self.pattern, n)}
                if fresh.keys() - self._partitions.keys():
                    self._partitions |= fresh
                    self._orders.append(self._subscribe)

    async def leave(self) -> None:
        """Leave the group; what is not committed goes to the other members."""
        if self._looking is not None:
            self._looking.cancel()
        self._ended.set()
        await asyncio.to_thread(self._thread.join)

    # -- the thread ---------------------------------------------------------------------

    def _poll(self) -> None:
        while not self._ended.is_set():
            self._carry_out()
            if self._full():
                time.sleep(POLL_AT_WORK)
                continue
            batch = self._batch()
            if batch:
                self._tell(self._hand_over, batch)
        self._quietly(self.consumer.close)

    def _carry_out(self) -> None:
        while self._orders:
            self._busy_until = time.monotonic() + SLOW
            self._orders.popleft()()

    @property
    def _unsettled(self) -> int:
        return self._taken_over - self._settled

    def _patience(self) -> float:
        if not self._unsettled and not self._sent:
            return POLL
        return POLL_AT_WORK if time.monotonic() < self._busy_until else POLL_SLOW_WORK

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        """Let the loop do something, after everything that it was told before."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _batch(self) -> list[tuple[Message, Ledger]]:
        """Wait for a record, and take those that have come with it."""
        first = self.consumer.poll(self._patience())
        batch = [] if first is None else self._mine([first])
        # One call, not one for each: every call gives the interpreter up, and waits to have it back.
        room = min(BATCH, self._tuning.max_in_flight - self._unsettled) - 1
        if batch and room > 0:
            batch += self._mine(self.consumer.consume(room, 0))
        if batch:
            self._busy_until = time.monotonic() + SLOW
        return batch

    def _mine(self, messages: Sequence[Message]) -> list[tuple[Message, Ledger]]:
        """Return the records of partitions that are this member's now, and count them."""
        found: list[tuple[Message, Ledger]] = []
        for message in messages:
            error = message.error()
            if error is None:
                ledger = self._current.get((message.topic() or "", message.partition() or 0))
                if ledger is not None:
                    found.append((message, ledger))
            elif error.fatal():
                self._anew()
                break
        self._taken_over += len(found)
        return found

    def _anew(self) -> None:
        """Join again, as a new member, after an error that no client survives."""
        self._on_lost(self.consumer, self._parts())
        self._quietly(self.consumer.close)
        self.consumer = self._make()
        self._subscribe()

    def _full(self) -> bool:
        """Tell whether too many records are unsettled to take more; stop fetching where it lasts.

        To pause throws away what was fetched ahead, to have it all fetched again: whoever is
        merely busy only waits.
        """
        limit, unsettled = self._tuning.max_in_flight, self._unsettled
        if self._paused:
            if unsettled <= limit // 2:
                self._paused = False
                self._quietly(self.consumer.resume, self._parts())
            return False
        if unsettled < (limit if self._full_at is None else limit * 3 // 4):
            self._full_at = None
            return False
        now = time.monotonic()
        if self._full_at is None:
            self._full_at = now
        if now - self._full_at < PAUSE_AFTER:
            return True
        self._full_at, self._paused = None, True
        self._quietly(self.consumer.pause, self._parts())
        return False

    def _parts(self) -> list[TopicPartition]:
        return [TopicPartition(*each) for each in self._current]

    @staticmethod
    def _quietly(call: Callable[..., Any], *arguments: Any) -> None:
        # A partition that has just gone needs none of it.
        with contextlib.suppress(KafkaException, RuntimeError):
            call(*arguments)

    # -- rebalances, called from within the thread's poll --------------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        fresh = {(each.topic, each.partition): self.ledger() for each in partitions}
        self._current |= fresh
        consumer.incremental_assign(partitions)
        # Said either way: a partition that was lost while it was paused comes back paused.
        self._quietly(consumer.pause if self._paused else consumer.resume, partitions)
        self._tell(self._was_assigned, fresh)

    def _was_assigned(self, fresh: dict[Partition, Ledger]) -> None:
        self._ledgers |= fresh
        for ledger in fresh.values():
            ledger.mine = True
        self._assigned.set()
        if self._shifts is not None and fresh:
            self._shifts.assigned([names(each) for each in fresh])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Let handlers come to their end, and commit what they did, before others begin."""
        patience = 0.0 if self._ended.is_set() else min(REVOKE_PATIENCE, self._tuning.redelivery)
        self._let_go(partitions, patience)
        self._carry_out()
        for each in partitions:
            self._current.pop((each.topic, each.partition), None)
        self._quietly(consumer.incremental_unassign, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Let go at once: another member has these partitions already."""
        for each in partitions:
            self._current.pop((each.topic, each.partition), None)
        self._let_go(partitions, 0.0)
        self._quietly(consumer.incremental_unassign, partitions)

    def _let_go(self, partitions: list[TopicPartition], patience: float) -> None:
        parts = [(each.topic, each.partition) for each in partitions]
        if self._loop.is_closed():
            return
        going = asyncio.run_coroutine_threadsafe(self._going(parts, patience), self._loop)
        with contextlib.suppress(TimeoutError):
            going.result(patience + 2.0)

    async def _going(self, partitions: list[Partition], patience: float) -> None:
        gone = {each: self._ledgers[each] for each in partitions if each in self._ledgers}
        if self._shifts is not None and not self._ended.is_set() and gone:
            await self._shifts.revoked(
                [names(each) for each in gone],
                lambda record: any(record.token is each for each in gone.values()),
                patience,
            )
            await asyncio.sleep(0.001)  # the acknowledgements that follow have begun now
        self._commit(at_once=True)
        for part, ledger in gone.items():
            del self._ledgers[part]
            ledger.mine = False
            self._settled += ledger.unsettled

    # -- records ------------------------------------------------------------------------

    def _hand_over(self, batch: Sequence[tuple[Message, Ledger]]) -> None:
        for message, ledger in batch:
            if not ledger.mine:
                self._settled += 1
                continue
            offset = message.offset() or 0
            ledger.begin(offset)
            record = self.record(message, ledger)
            if topics.matches(self.pattern, record.topic):
                self._taken(record)
            else:
                self._settle(ledger, offset)

    def record(self, message: Message, ledger: Ledger) -> Record:
        """Return the record in a message."""
        return record_of(message, ledger)

    def _settle(self, ledger: Ledger, offset: int) -> None:
        ledger.settle(offset)
        self._settled += 1
        self._commit()

    async def ack(self, records: Sequence[Record], confirmed: Confirmed) -> None:
        """Settle records; each is confirmed with its commit, which a gap before it puts off."""
        waiting: list[Unconfirmed] = []
        for record in records:
            ledger, offset = record.token, offset_of(record)
            if not ledger.mine:
                confirmed(record, NOT_YET)
                continue
            ledger.settle(offset)
            self._settled += 1
            if ledger.prefix is None or ledger.prefix <= offset:
                confirmed(record, NOT_YET)
            elif ledger.stored > offset:
                confirmed(record, CONFIRMED)
            else:
                waiting.append(Unconfirmed(record, offset, confirmed))
        if waiting:
            self._waiting += waiting
            self._loop.call_later(self._tuning.publish_timeout, self._give_up, waiting)
        self._commit()

    def _give_up(self, waiting: Sequence[Unconfirmed]) -> None:
        """Say of those that are still not confirmed that they are not."""
        late = [each for each in waiting if not each.done]
        for each in late:
            each.say(done=False)
        if late:
            self._waiting = [each for each in self._waiting if not each.done]

    # -- commits ------------------------------------------------------------------------

    def _commit(self, *, at_once: bool = False) -> None:
        """Commit every prefix that has moved, all in one request.

        While a request is under way, or has just gone out, the next one waits, and carries more;
        `at_once` does not wait, because the thread that would hear the answer is busy with a
        rebalance.
        """
        if (self._sent or self._resting) and not at_once:
            return
        moved = {part: e for part, e in self._ledgers.items() if e.wanted is not None}
        if not moved:
            return
        offsets = [TopicPartition(*part, each.wanted or 0) for part, each in moved.items()]
        ledgers = list(moved.values())
        for each in moved.values():
            each.wanted = None
        self._sent.append(moved)
        self._orders.append(lambda: self._send_mine(offsets, ledgers))
        if not at_once:
            self._resting = True
            self._loop.call_later(COMMIT_EVERY, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._commit()

    def _send_mine(self, offsets: list[TopicPartition], ledgers: list[Ledger]) -> None:
        """Send what is still this member's when the thread comes to it.

        The broker asks who commits, and not whose the partition is: it would set the next owner back.
        """
        mine = [
            each
            for each, ledger in zip(offsets, ledgers, strict=True)
            if self._current.get((each.topic, each.partition)) is ledger
        ]
        if mine:
            self.send(mine)
        else:
            self._tell(self._committed, {})

    def send(self, offsets: list[TopicPartition]) -> None:
        """Send a commit, in the thread; the answer comes through its polls."""
        try:
            self.consumer.commit(offsets=offsets, asynchronous=True)
        except (KafkaException, RuntimeError):
            self._tell(self._committed, {})

    def on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Take the answer to a commit, in the thread."""
        stored = {
            (each.topic, each.partition): each.offset
            for each in partitions
            if error is None and each.error is None
        }
        self._tell(self._committed, stored)

    def _committed(self, stored: Offsets) -> None:
        if not self._sent:
            return
        moved = self._sent.popleft()
        for part, ledger in moved.items():
            ledger.stored = max(ledger.stored, stored.get(part, -1))
        for each in self._waiting:
            if each.record.token.stored > each.offset:
                each.say(done=True)
        self._waiting = [each for each in self._waiting if not each.done]
        lost = {part: each for part, each in moved.items() if part not in stored}
        if lost:
            self._failed(lost)
        else:
            self._commit()

    def _failed(self, moved: dict[Partition, Ledger]) -> None:
        """Try a commit again later, which then may carry more."""
        for each in moved.values():
            each.wanted = each.prefix
        self._loop.call_later(COMMIT_PAUSE, self._commit)

    async def lag(self) -> int:
        """Return what is stored behind the group's place, without what is settled already."""
        parts = [(n, each) for n, count in self._partitions.items() for each in range(count)]
        ends = await self._cluster.ends(parts)
        places = await self._places(parts)
        waiting = 0
        for part, end in ends.items():
            mine = self._ledgers.get(part)
            place = max(places.get(part, 0), (mine.prefix or 0) if mine else 0)
            waiting += max(0, end - place - (mine.beyond if mine else 0))
        return waiting

    async def _places(self, partitions: list[Partition]) -> Offsets:
        """Ask for the group's places, through the thread."""
        answer: asyncio.Future[Offsets] = self._loop.create_future()

        def ask() -> None:
            try:
                found = committed(self.consumer, partitions)
            except KafkaException as error:
                self._tell(_answer, answer, trouble(error.args[0]))
            else:
                self._tell(_answer, answer, found)

        self._orders.append(ask)
        try:
            return await asyncio.wait_for(answer, ASK_SECONDS)
        except TimeoutError as error:
            raise Unknown("timeout", "the group's coordinator did not answer") from error

    async def progress(self, records: Sequence[Record]) -> None:
        """Nothing: a member keeps its records for as long as its thread polls."""

    async def give_back(self, records: Sequence[Record]) -> None:
        """Nothing: what is not committed goes to the other members when this one leaves."""


def _answer(future: asyncio.Future[Offsets], found: Offsets | Exception) -> None:
    if future.done():
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)


def names(partition: Partition) -> str:
    """Return how events name a partition."""
    return f"{partition[0]}/{partition[1]}"


def offset_of(record: Record) -> int:
    """Return the offset in a record's position."""
    return int(record.position.rpartition(":")[2])
