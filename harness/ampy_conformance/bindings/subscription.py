"""One member's core with its input and output: broker on one side, driver protocol on the other."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings import pressure
from ampy_conformance.bindings.consumer import Abandon, Ack, Deliver, Progress, WriteDead
from ampy_conformance.bindings.transport import Refusal, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ampy_conformance.bindings.consumer import Action, ConsumerCore
    from ampy_conformance.bindings.meter import Meter
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.store import Store
    from ampy_conformance.bindings.transport import Membership, Transport
    from ampy_conformance.kit import Receiver

    Emit = Callable[..., None]
    Signal = Callable[[str, int, bool], Any]


class Subscription:
    """Carries out what the core decides."""

    def __init__(
        self,
        emit: Emit,
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
        self._transport = transport
        self.core = core
        self.store = store
        self.meter = meter
        self._handle = handle
        self.pattern = pattern
        self.group = group
        self.membership: Membership | None = None
        self.alarm: pressure.Alarm | None = None
        self.load: Receiver | None = None
        self._wake = asyncio.Event()
        self._acks: dict[int, asyncio.Task[bool]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lasting = [asyncio.ensure_future(self._tick())]

    def taken(self, record: Record) -> None:
        """Take a record from the broker, or from a replay."""
        self.act(self.core.arrived(record, time.monotonic()))

    def act(self, actions: list[Action]) -> None:
        """Carry out what the core decided, in order."""
        for each in actions:
            if isinstance(each, Deliver):
                self._deliver(each.record)
            elif isinstance(each, Ack):
                self._acks[id(each.record)] = self._start(self._ack(each.record))
            elif isinstance(each, WriteDead):
                self._start(self._bury(each))
            elif isinstance(each, Abandon):
                self._emit("abandoned", subscription=self._handle, delivery=each.delivery)
            elif isinstance(each, Progress) and self.membership is not None:
                self._start(self.membership.progress(live(each.records)))
        self._wake.set()

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
        if self.load is not None:
            self.load.delivered(record.body)
            asyncio.get_running_loop().call_soon(self._handled, record)
            return
        more = {"replay": record.replay} if record.replay else {}
        self._emit(
            "deliver",
            subscription=self._handle,
            delivery=record.delivery,
            topic=record.topic,
            headers=dict(record.headers),
            payload=base64.b64encode(record.body).decode(),
            attempt=record.attempt,
            position=record.position,
            # From before the look whether it was seen: another member may be at it as well.
            t_ns=int(record.delivered_at * 1e9),
            **more,
        )

    def _handled(self, record: Record) -> None:
        """Be the handler of a load: every record takes effect at once."""
        assert record.delivery is not None
        found, actions = self.core.settled(record.delivery, "ack", time.monotonic())
        if found is not None:
            self.act(actions)
            self._acks.pop(id(record), None)
            self.meter.consumed(record.topic, self.group)

    async def _ack(self, record: Record) -> bool:
        if record.replay is not None:
            return True  # it came out of the log, nobody waits for it
        # A record may come before the answer to the join.
        while self.membership is None:  # noqa: ASYNC110 (rare, and over within a round trip)
            await asyncio.sleep(0.001)
        return await self.membership.ack(record)

    async def acknowledged(self, record: Record) -> bool:
        """Wait for the broker's confirmation of a record's acknowledgement."""
        task = self._acks.pop(id(record), None)
        return bool(task and await task)

    async def _bury(self, each: WriteDead) -> None:
        try:
            await self._transport.publish(each.topic, each.headers, each.payload, None)
            ok = True
        except (Refusal, Unknown):
            ok = False
        if ok:
            self.count_dead(each.record)
        self.act(self.core.dead_written(each.record, ok, time.monotonic()))

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

    async def _tick(self) -> None:
        while True:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.core.wake(time.monotonic()))
            self.act(self.core.tick(time.monotonic()))
            self._wake.clear()
            await asyncio.sleep(min(0.005, self.core.wake(time.monotonic())))

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

    def assigned(self, logs: Sequence[str]) -> None:
        """Tell that this member has been given parts of the log."""
        self._emit("assigned", subscription=self._handle, partitions=list(logs))

    async def revoked(
        self, logs: Sequence[str], leaving: Callable[[Record], bool], patience: float
    ) -> None:
        """Let go of records that another member is given; what is in work may come to its end."""
        self.act(self.core.release(leaving, time.monotonic()))
        deadline = time.monotonic() + patience
        while self.core.in_work(leaving) and time.monotonic() < deadline:  # noqa: ASYNC110 (rare)
            await asyncio.sleep(0.01)
        self.act(self.core.drop(leaving, time.monotonic()))
        self._emit("revoked", subscription=self._handle, partitions=list(logs))

    # -- end ----------------------------------------------------------------------------

    async def close(self) -> None:
        """Give everything back and leave the group."""
        for each in self._lasting:
            each.cancel()
        if self.membership is not None:
            if self._tasks:
                await asyncio.wait(list(self._tasks), timeout=1.0)
            await self.membership.give_back(live(self.core.held))
            await self.membership.leave()
        for each in list(self._tasks):
            each.cancel()
        self.store.close()


def live(records: Any) -> list[Record]:
    """Return those that the broker handed out: a replay's are not known to it."""
    return [each for each in records if each.replay is None]
