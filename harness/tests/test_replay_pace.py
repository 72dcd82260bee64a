"""A replay leaves the loop to what is live, as much of it as it takes itself (RPL-11)."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from ampy_conformance.bindings.records import Record
from ampy_conformance.bindings.replay import AT_A_TIME, ReplayService

WORK = 0.02
RECORDS = 3 * AT_A_TIME + 1


class Replays(ReplayService):
    """A service without a broker, all of whose records are in scope."""

    def __init__(self, subscription: Any, records: list[Record]) -> None:
        self.subscription = subscription
        self._records = records

    async def _read(self, request: Any) -> list[Record]:  # noqa: ARG002
        return self._records

    def in_scope(self, record: Record, request: Any) -> bool:  # noqa: ARG002
        return True


class Subscription:
    """Judges a few records for a while, during which nobody else has the loop."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.together: list[int] = []
        self.core = SimpleNamespace(held=[])

    def take(self, records: list[Record]) -> None:
        time.sleep(WORK)
        self.together.append(len(records))
        self.taken += [each.position for each in records]


def test_a_replay_rests_as_long_as_it_works() -> None:
    records = [Record(f"0:{number}", "t", {}, b"") for number in range(RECORDS)]
    subscription = Subscription()
    free = []

    async def run() -> None:
        work = asyncio.ensure_future(
            Replays(subscription, records).replay(SimpleNamespace(request_id="r"))
        )
        before = time.monotonic()
        while not work.done():  # what is live
            await asyncio.sleep(0.001)
            now = time.monotonic()
            if now - before < WORK / 2:
                free.append(now - before)
            before = now
        await work

    asyncio.run(run())
    assert subscription.taken == [f"0:{number}" for number in range(RECORDS)]
    assert max(subscription.together) <= AT_A_TIME
    assert sum(free) >= 0.8 * WORK * len(subscription.together)
    assert all(each.replay == "r" for each in records)


def test_a_log_is_read_with_rests_between(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka_transport = pytest.importorskip("ampy_conformance.bindings.kafka_transport")
    clock, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    def work() -> Any:
        for number in range(3 * kafka_transport.BURST + 1):
            clock[0] += 0.001
            yield number

    fake = SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep)
    monkeypatch.setattr(kafka_transport, "time", fake)
    assert list(kafka_transport.gently(work())) == list(range(3 * kafka_transport.BURST + 1))
    assert slept == pytest.approx([0.001 * kafka_transport.BURST] * 3)
