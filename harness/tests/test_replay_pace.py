"""A replay leaves the loop to what is live, as much of it as it takes itself (RPL-11)."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from ampy_conformance.bindings.records import Record
from ampy_conformance.bindings.replay import AT_A_TIME, ReplayService
from ampy_conformance.bindings.transport import Unknown

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


def test_a_replay_rests_as_long_as_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [Record(f"0:{number}", "t", {}, b"") for number in range(RECORDS)]
    subscription, slept, sleep = Subscription(), [], asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    asyncio.run(Replays(subscription, records).replay(SimpleNamespace(request_id="r")))
    assert subscription.taken == [f"0:{number}" for number in range(RECORDS)]
    assert max(subscription.together) <= AT_A_TIME
    assert len([each for each in slept if each >= WORK]) == len(subscription.together)
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


class Message:
    """A record of a log."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def error(self) -> None:
        return None


@pytest.mark.parametrize("stored", [100, 60], ids=["whole", "ends too early"])
def test_a_log_is_given_up_only_where_nothing_comes(
    monkeypatch: pytest.MonkeyPatch, stored: int
) -> None:
    """A long log takes longer to read than one may wait for a record."""
    kafka_transport = pytest.importorskip("ampy_conformance.bindings.kafka_transport")
    clock, left = [0.0], [Message(number) for number in range(stored)]

    def consume(_count: int, _timeout: float) -> list[Message]:
        clock[0] += kafka_transport.READ_SECONDS / 4
        waits = clock[0] % kafka_transport.READ_SECONDS == 0  # now and then
        return [left.pop(0)] if left and not waits else []

    reader = SimpleNamespace(consume=consume, close=lambda: None)
    monkeypatch.setattr(kafka_transport, "reader", lambda *_: reader)
    monkeypatch.setattr(kafka_transport, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    transport = kafka_transport.KafkaTransport()
    transport._cluster = SimpleNamespace(address="")
    messages = transport._messages({("t", 0): 0}, {("t", 0): 100})
    if stored == 100:
        assert [each.offset() for _, each in messages] == list(range(100))
    else:
        with pytest.raises(Unknown, match="not read in time"):
            list(messages)
