"""Records that come before others that were lost, or that a former member had, wait for these."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from ampy_conformance.bindings import nats_transport
from ampy_conformance.bindings.nats_transport import Hold, NatsMembership
from ampy_conformance.bindings.records import Record
from ampy_conformance.bindings.transport import Tuning, Unknown

FAR = float("inf")


def record(position):
    return Record(position=str(position), topic="ampy.dev.bars.v1.X", headers={}, payload=b"")


def test_lost_deliveries_are_waited_for_and_come_first():
    # 1 is in work here; 2 and 3 were lost on the way; 4 came, and with it the gap.
    hold = Hold(FAR)
    hold.add(record(4))
    hold.expect(4, 4)
    assert not hold.complete({1, 4})
    hold.add(record(3))
    hold.add(record(2))
    assert hold.complete({1, 2, 3, 4})
    assert [each.position for each in hold.in_order()] == ["2", "3", "4"]


def test_what_is_settled_meanwhile_does_not_stand_for_what_is_missing():
    hold = Hold(FAR)
    hold.add(record(4))
    hold.expect(2, 4)  # 1 is settled: open are 3 and 4
    assert not hold.complete({4})
    assert not hold.overdue()


def test_what_came_later_does_not_stand_for_what_is_missing():
    hold = Hold(FAR)
    hold.expect(2, 4)
    assert not hold.complete({4, 5, 6})


def test_before_the_broker_has_answered_nothing_is_complete():
    hold = Hold(0.0)
    hold.add(record(1))
    assert not hold.complete({1})
    assert hold.overdue()


class Broker:
    """A server with one consumer, and a member of its group that the test lets hear of records.

    `handled`: positions that other members are through with.
    """

    def __init__(self, monkeypatch, *, max_in_flight=64):
        self.taken, self.asked = [], []
        self.open, self.last, self.number, self.answers = set(), 0, 0, True
        self.handled_elsewhere = set()
        monkeypatch.setattr(nats_transport, "call", self._call)
        tuning = Tuning(redelivery=1.2, max_in_flight=max_in_flight, max_attempts=3)
        self.member = NatsMembership(self, None, "S", "g", "m", tuning, self._take, self)

    async def _call(self, *_):
        await asyncio.sleep(0)
        if not self.answers:
            raise Unknown("timeout", "nobody answers")
        return {"num_ack_pending": len(self.open), "delivered": {"stream_seq": self.last}}

    def _take(self, each):
        self.taken.append(int(each.position))

    def handled(self, records):
        return [each for each in records if int(each.position) in self.handled_elsewhere]

    async def publish(self, _, body, reply):
        self.asked.append((json.loads(body), reply))

    def new_inbox(self):
        return "inbox"

    async def subscribe(self, *_, **__):
        return None

    def give_elsewhere(self, *positions):
        for each in positions:
            self.number += 1
            self.open.add(each)
            self.last = max(self.last, each)

    def message(self, position, pin="p1"):
        self.give_elsewhere(position)
        reply = f"$JS.ACK.S.g.1.{position}.{self.number}.1.0"
        return SimpleNamespace(reply=reply, headers={"Nats-Pin-Id": pin}, subject="t", data=b"")

    async def give(self, *positions, pin="p1"):
        """Give records out and let the member hear of them one after the other, as clients do."""
        for each in [self.message(position, pin) for position in positions]:
            await self.member._message(each)

    async def look(self):
        """Let the member look once more, where it holds anything."""
        if self.member._hold is not None:
            await self.member._look()
            self.member._release()


def run(work):
    asyncio.run(work)


def test_what_another_member_was_slow_to_acknowledge_does_not_stand_for_what_is_missing(
    monkeypatch,
):
    broker = Broker(monkeypatch)

    async def scene():
        broker.give_elsewhere(1, 2, 3)
        broker.handled_elsewhere |= {1, 2}
        first, second, third = (broker.message(each) for each in (1, 2, 9))
        broker.open -= {1, 2}  # their acknowledgements were late, and are here before the question
        for each in (first, second, third):
            await broker.member._message(each)
        assert broker.taken == [1, 2]  # 3 is still on its way
        await broker.give(3)
        await broker.look()
        assert broker.taken == [1, 2, 3, 9]

    run(scene())


def test_what_the_member_has_itself_is_not_missing_when_it_is_pinned_anew(monkeypatch):
    """Else a handler that hangs would hold up every other key."""
    broker = Broker(monkeypatch)

    async def scene():
        await broker.give(1)
        await broker.give(2, pin="p2")
        assert broker.taken == [1, 2]
        broker.give_elsewhere(3)
        await broker.give(4, pin="p3")
        assert broker.taken == [1, 2]
        await broker.give(5, pin="p4")  # a hold that goes on keeps what it has
        await broker.give(3, pin="p4")
        await broker.look()
        assert broker.taken == [1, 2, 3, 4, 5]

    run(scene())


def test_an_answer_of_before_the_gap_is_not_believed(monkeypatch):
    broker = Broker(monkeypatch)

    async def scene():
        broker.give_elsewhere(1)
        await broker.give(2)
        assert broker.taken == []
        broker.give_elsewhere(3, 4)  # and they are lost
        broker.answers = False
        await broker.give(5)
        await broker.give(1)
        assert broker.taken == []
        broker.answers = True
        await broker.give(3, 4)
        await broker.look()
        assert broker.taken == [1, 2, 3, 4, 5]

    run(scene())


def test_a_memory_that_cannot_be_asked_holds_nothing_up_for_ever(monkeypatch):
    broker = Broker(monkeypatch)

    def broken(_):
        raise OSError("the file is locked")

    async def scene():
        broker.give_elsewhere(1)
        await broker.give(2)
        broker.handled = broken
        broker.open.discard(1)
        await broker.member._look()
        with pytest.raises(OSError, match="locked"):
            broker.member._release()
        broker.member._hold.deadline = 0.0
        broker.member._release()
        assert broker.taken == [2]

    run(scene())


@pytest.mark.parametrize("full", [False, True])
def test_a_pinned_member_is_heard_of_before_the_server_takes_it_for_dead(monkeypatch, full):
    broker = Broker(monkeypatch, max_in_flight=2)

    async def scene():
        await broker.member.begin()
        await asyncio.sleep(0.01)
        await broker.give(*([1, 2] if full else [1]))
        # Four in 1.6 s are due; pulls for what there is room for alone are one in 2.5 s, or none.
        for _ in range(40):
            with_pin = [each for each, _ in broker.asked if each.get("id") == "p1"]
            if len(with_pin) >= 4:
                break
            await asyncio.sleep(0.1)
        assert len(with_pin) >= 4
        broker.member._task.cancel()

    run(scene())
