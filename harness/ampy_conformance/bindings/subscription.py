"""One member's core with its input and output: broker on one side, driver protocol on the other."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings import pressure
from ampy_conformance.bindings.consumer import Abandon, Ack, Deliver, Progress, WriteDead
from ampy_conformance.bindings.transport import CONFIRMED, NOT_YET, Refusal, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ampy_conformance.bindings.consumer import Action, ConsumerCore
    from ampy_conformance.bindings.meter import Meter
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.store import Store
    from ampy_conformance.bindings.transport import Membership, Transport

    Emit = Callable[..., None]
    Signal = Callable[[str, int, bool], Any]


# Records begun together: more would cost less each, and make the last of them wait.
AT_ONCE = 64
# How long a record waits for those that the broker has behind it: large ones come one in a turn of
# the loop, and each batch is two transactions.
GATHER_SECONDS = 0.01
SOONEST = 0.005  # seconds between looks at what is due


class Subscription:
    """Carries out what the core decides."""

    def __init__(
        self,
        emit: Emit,
        hand_over: Callable[[Record], None],
        transport: Transport,
        core: ConsumerCore,
        store: Store,
        meter: Meter,
        *,
        handle: str,
        pattern: str,
        group: str,
    ) -> None:
        self._emit = emit
        self._hand_over = hand_over
        self._transport = transport
        self.core = core
        self.store = store
        self.meter = meter
        self._handle = handle
        self.pattern = pattern
        self.group = group
        self.membership: Membership | None = None
        self.alarm: pressure.Alarm | None = None
        self._loop = asyncio.get_running_loop()
        self._arrived: list[Record] = []
        self._beginning: asyncio.Handle | None = None
        self._soon = False
        self._closing = False
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lasting: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def taken(self, record: Record) -> None:
        """Take a record from the broker; those that it has ready are begun together."""
        self._arrived.append(record)
        if self._closing:
            return  # it is given back
        if record.followed and len(self._arrived) < AT_ONCE:
            if self._beginning is None:
                self._beginning = self._loop.call_later(GATHER_SECONDS, self._begin)
        elif not self._soon:
            self._begin_soon()

    def _begin_soon(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
        self._soon = True
        self._beginning = self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Begin with what has arrived, so much at once that nobody waits long for his turn."""
        records, self._arrived = self._arrived[:AT_ONCE], self._arrived[AT_ONCE:]
        self._beginning, self._soon = None, False
        if self._arrived:
            self._begin_soon()
        if records:
            self.take(records)

    def take(self, records: Sequence[Record]) -> None:
        """Take records at once."""
        with self.store:
            actions = self.core.all_arrived(records, time.monotonic())
        self.act(actions)

    def settle(
        self, verdicts: Sequence[tuple[str, str]], *, waits: bool = True
    ) -> list[tuple[Record | None, asyncio.Future[bool] | None]]:
        """Take verdicts, each a delivery and `ack`, `fail` or `reject`.

        Returns for each the record, None where the delivery is no longer open, and what tells
        whether the broker has confirmed its acknowledgement, None where it was not acknowledged,
        or nobody `waits`.
        What was handled is durable when this returns.
        """
        with self.store:
            records, actions = self.core.all_settled(verdicts, time.monotonic())
        waiting = {
            id(each.record): self._loop.create_future()
            for each in (actions if waits else ())
            if isinstance(each, Ack)
        }
        self._waiting |= waiting
        self.act(actions)
        return [
            (record, waiting.get(id(record)) if verdict == "ack" else None)
            for record, (_, verdict) in zip(records, verdicts, strict=True)
        ]

    def grant(self, count: int) -> None:
        """Allow so many more unsettled deliveries."""
        with self.store:
            actions = self.core.grant(count, time.monotonic())
        self.act(actions)

    def act(self, actions: list[Action]) -> None:
        """Carry out what the core decided, in order; what it decided on is durable."""
        done: list[Record] = []
        for each in actions:
            if isinstance(each, Deliver):
                self._deliver(each.record)
            elif isinstance(each, Ack):
                done.append(each.record)
            elif isinstance(each, WriteDead):
                self._start(self._bury(each))
            elif isinstance(each, Abandon):
                self._emit("abandoned", subscription=self._handle, delivery=each.delivery)
            elif isinstance(each, Progress) and self.membership is not None:
                self._start(self.membership.progress(live(each.records)))
        if done:
            self._start(self._ack(done))
        self._plan()

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _deliver(self, record: Record) -> None:
        assert record.delivery is not None
        if record.attempt > 1:
            self.meter.retried(record.topic, record.trouble or "timeout")
        elif record.replay is None:
            self.meter.delivered(record.topic, record.known.get("produced_at", ""))
        self._hand_over(record)

    async def _ack(self, records: list[Record]) -> None:
        # A record may come before the answer to the join.
        while self.membership is None:  # noqa: ASYNC110 (rare, and over within a round trip)
            await asyncio.sleep(0.001)
        await self.membership.ack(live(records), self._confirmed)
        for each in records:
            if each.replay is not None:  # it came out of the log, nobody waits for it
                self._confirmed(each, CONFIRMED)

    def _confirmed(self, record: Record, done: bool) -> None:
        waiting = self._waiting.pop(id(record), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(done)

    async def _bury(self, each: WriteDead) -> None:
        try:
            await self._transport.publish(each.topic, each.headers, each.payload, None)
            ok = True
        except (Refusal, Unknown):
            ok = False
        if ok:
            self.count_dead(each.record)
        with self.store:
            actions = self.core.dead_written(each.record, ok, time.monotonic())
        self.act(actions)

    def count_dead(self, record: Record) -> None:
        """Count a dead letter that is stored now, and whether its record could not be decoded."""
        kind = record.reason.partition(":")[0]
        self.meter.dead(record.topic, kind)
        if kind == "decode_error":
            self.meter.undecodable(record.topic, kind)

    async def bury_request(self, record: Record, reason: str) -> None:
        """Make a dead letter of a control record that breaks the contract."""
        record.reason = reason
        letters = self.core.letters
        await self._transport.publish(
            letters.topic(record), letters.headers(record), letters.payload(record), None
        )
        self.count_dead(record)

    def _plan(self) -> None:
        """Be called again when the core has something to do; earlier does no harm."""
        if self._closing:
            return
        due = self._loop.time() + max(SOONEST, self.core.wake(time.monotonic()))
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        with self.store:
            actions = self.core.tick(time.monotonic())
        self.act(actions)

    # -- lag ----------------------------------------------------------------------------

    async def lag(self) -> int:
        """Return how many records of the broker wait for the group, and keep the gauge true."""
        assert self.membership is not None
        waiting = await self.membership.lag()
        self.meter.lag(self.pattern, self.group, waiting)
        return waiting

    def watch_lag(self, alarm: pressure.Alarm, signal: Signal) -> None:
        """Look at the lag again and again, and signal when it is high (BKP-01)."""
        self.alarm = alarm
        self._lasting.append(asyncio.ensure_future(self._watch(alarm, signal)))

    async def _watch(self, alarm: pressure.Alarm, signal: Signal) -> None:
        while True:
            with contextlib.suppress(Refusal, Unknown):
                waiting = await self.lag()
                if alarm.heard(waiting):
                    await signal(self.group, waiting, alarm.raised)
            await asyncio.sleep(pressure.EVERY)

    # -- rebalances ---------------------------------------------------------------------

    def handled(self, records: Sequence[Record]) -> list[Record]:
        """Return those that the group is through with, by whichever of its members."""
        with self.store:
            return self.core.handled(records)

    def assigned(self, logs: Sequence[str]) -> None:
        """Tell that this member has been given parts of the log."""
        self._emit("assigned", subscription=self._handle, partitions=list(logs))

    async def revoked(
        self, logs: Sequence[str], leaving: Callable[[Record], bool], patience: float
    ) -> None:
        """Let go of records that another member is given; what is in work may come to its end."""
        while self._arrived:
            self._begin()
        with self.store:
            actions = self.core.release(leaving, time.monotonic())
        self.act(actions)
        deadline = time.monotonic() + patience
        while self.core.in_work(leaving) and time.monotonic() < deadline:  # noqa: ASYNC110 (rare)
            await asyncio.sleep(0.01)
        with self.store:
            actions = self.core.drop(leaving, time.monotonic())
        self.act(actions)
        self._emit("revoked", subscription=self._handle, partitions=list(logs))

    # -- end ----------------------------------------------------------------------------

    async def close(self) -> None:
        """Give everything back and leave the group."""
        for each in self._lasting:
            each.cancel()
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._beginning is not None:
            self._beginning.cancel()
        if self.membership is not None:
            if self._tasks:
                await asyncio.wait(list(self._tasks), timeout=1.0)
            waiting, self._arrived = self._arrived, []  # they are not begun any more
            await self.membership.give_back(live([*self.core.held, *waiting]))
            await self.membership.leave()
        for each in list(self._tasks):
            each.cancel()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(NOT_YET)
        self._arrived.clear()
        self.store.close()


def live(records: Any) -> list[Record]:
    """Return those that the broker handed out: a replay's are not known to it."""
    return [each for each in records if each.replay is None]
