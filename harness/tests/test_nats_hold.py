"""Records that come before others that were lost, or that a former member had, wait for these."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from ampy_conformance.bindings import nats_transport
from ampy_conformance.bindings.nats_transport import Hold, NatsMembership
from ampy_conformance.bindings.records import Record

FAR = float("inf")


def record(position):
    return Record(position=str(position), topic="ampy.dev.bars.v1.X", headers={}, payload=b"")


def test_lost_deliveries_are_waited_for_and_come_first():
    # 1 is in work here; 2 and 3 were lost on the way; 4 came, and with it the gap.
    hold = Hold(FAR, {"1"})
    hold.add(record(4))
    hold.expect(4, 4)
    assert not hold.complete({"1", "4"})
    hold.add(record(2))
    hold.add(record(3))
    assert hold.complete({"1", "2", "3", "4"})
    assert [each.position for each in hold.in_order()] == ["2", "3", "4"]


def test_what_is_settled_meanwhile_does_not_stand_for_what_is_missing():
    hold = Hold(FAR, {"1"})
    hold.add(record(4))
    hold.expect(2, 4)  # 1 is settled: open are 3 and 4
    assert not hold.complete({"4"})
    assert not hold.overdue()


def test_before_the_broker_has_answered_nothing_is_complete():
    hold = Hold(0.0, set())
    hold.add(record(1))
    assert not hold.complete({"1"})
    assert hold.overdue()


class Others:
    """What the other members of the group have handled, by position."""

    def __init__(self, *positions):
        self.positions = set(positions)

    def handled(self, records):
        return [each for each in records if each.position in self.positions]


def test_what_another_member_was_slow_to_acknowledge_does_not_stand_for_what_is_missing(
    monkeypatch,
):
    # 1 and 2 came again, because their acknowledgements were late; 3 is still on its way.
    open_now = {"num_ack_pending": 2, "delivered": {"stream_seq": 4}}

    async def answered(*_):
        return open_now

    monkeypatch.setattr(nats_transport, "call", answered)
    taken = []
    tuning = SimpleNamespace(redelivery=1.0, max_in_flight=10)
    member = NatsMembership(None, None, "S", "g", "m", tuning, taken.append, Others("1", "2"))
    hold = member._hold = Hold(FAR, set())
    for each in (1, 2, 4):
        hold.add(record(each))
    asyncio.run(member._look())
    member._release()
    assert [each.position for each in taken] == ["1", "2"]
    hold.add(record(3))
    member._release()
    assert [each.position for each in taken] == ["1", "2", "3", "4"]
