"""Records that come before others that were lost, or that a former member had, wait for these."""

from __future__ import annotations

from ampy_conformance.bindings.nats_transport import Hold
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
