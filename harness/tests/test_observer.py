"""What every observer offers, on real servers of both kinds."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from ampy_conformance import broker
from ampy_conformance.broker import RefusedRecordError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.broker import Broker, Lane, Observer

TOPIC = "ampy.dev.bars.v1.XNAS.AAPL"
DEAD = "ampy.dev.dlq.v1.bars"


@pytest.fixture(scope="module", params=["nats", "memory"])
def running(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """One broker of each kind."""
    with broker.provision(request.param, domains=("bars", "orders", "dlq"), lanes=64) as started:
        yield started


@pytest.fixture
def lane(running: Broker) -> Iterator[Lane]:
    """A fresh lane."""
    fresh = running.lane()
    yield fresh
    fresh.close()


@pytest.fixture
def wire(lane: Lane) -> Observer:
    """The observer of a fresh lane."""
    return lane.observe()


def test_lanes_do_not_see_each_other(running: Broker, wire: Observer) -> None:
    other = running.lane().observe()
    wire.publish(TOPIC, {}, b"mine")
    other.publish(TOPIC, {}, b"theirs")
    wire.ping()
    other.ping()

    assert [each.payload for each in wire.records()] == [b"mine"]
    assert [each.payload for each in wire.tap()] == [b"mine"]
    assert [each.payload for each in other.records()] == [b"theirs"]
    other.close()


def test_no_lane_is_given_out_twice(running: Broker) -> None:
    lanes = [running.lane() for _ in range(3)]

    assert len({each.url for each in lanes}) == 3
    for each in lanes:
        each.close()


def test_records_come_back_byte_for_byte(wire: Observer) -> None:
    headers = (("message_id", "1"), ("Message_ID", "2"), ("empty", ""), ("text", "grün, 株: x"))
    payload = bytes(range(256)) + b"\r\nPUB x 1\r\n"
    position = wire.publish(TOPIC, headers, payload)

    (stored,) = wire.records()
    (seen,) = wire.tap()
    assert (TOPIC, headers, payload) == (stored.topic, stored.headers, stored.payload)
    assert (TOPIC, headers, payload) == (seen.topic, seen.headers, seen.payload)
    assert (position, "AMPY") == (stored.position, stored.stream)
    assert stored.t_ns > 1_600_000_000 * 10**9  # nanoseconds of wall-clock time, not seconds


def test_the_log_is_read_in_order_main_stream_first(wire: Observer) -> None:
    wire.publish(DEAD, {}, b"letter")
    positions = wire.publish_many([(TOPIC, {}, b"%d" % n) for n in range(300)])

    assert [str(n + 1) for n in range(300)] == positions
    assert [*(b"%d" % n for n in range(300)), b"letter"] == [
        each.payload for each in wire.records()
    ]
    assert [each.payload for each in wire.records("ampy.*.dlq.>")] == [b"letter"]


def test_large_records_are_read_whole(wire: Observer) -> None:
    payload = b"\x00\xff" * (1048576 // 2 - 64)
    wire.publish(TOPIC, {"h": "1"}, payload)

    assert payload == wire.records()[0].payload


def test_a_record_over_the_limit_is_refused_and_the_lane_stays_usable(wire: Observer) -> None:
    with pytest.raises(broker.BrokerError):
        wire.publish(TOPIC, {"h": "1"}, b"x" * 1048576)
    wire.publish(TOPIC, {}, b"after")

    assert [each.payload for each in wire.records()] == [b"after"]


def test_a_topic_that_no_stream_takes_is_refused(wire: Observer) -> None:
    with pytest.raises(RefusedRecordError):
        wire.publish("ampy.dev.nonsense.v1.x", {}, b"")

    assert wire.records() == []


@pytest.mark.parametrize(
    ("stream", "refused", "taken"), [("dlq", DEAD, TOPIC), ("main", TOPIC, DEAD)]
)
def test_a_filled_stream_refuses_keeps_what_it_has_and_heals(
    wire: Observer, stream: str, refused: str, taken: str
) -> None:
    wire.publish(refused, {}, b"before")
    getattr(wire, f"fill_{stream}")()

    for _ in range(2):  # not only the first time
        with pytest.raises(RefusedRecordError):
            wire.publish(refused, {}, b"")
    wire.publish(taken, {}, b"other stream")
    assert {b"before", b"other stream"} == {each.payload for each in wire.records()}

    getattr(wire, f"heal_{stream}")()
    wire.publish(refused, {}, b"after")
    assert {b"before", b"after", b"other stream"} == {each.payload for each in wire.records()}


def test_an_empty_stream_can_be_filled_too(wire: Observer) -> None:
    wire.fill_dlq()

    with pytest.raises(RefusedRecordError):
        wire.publish(DEAD, {}, b"")


def test_the_tap_sees_what_the_stream_refused(wire: Observer) -> None:
    wire.fill_dlq()
    with pytest.raises(RefusedRecordError):
        wire.publish(DEAD, {}, b"tried")
    wire.ping()

    assert [each.payload for each in wire.tap()] == [b"tried"]
    assert wire.records() == []


@pytest.mark.parametrize("where", ["tap", "log"])
def test_waiting_ends_when_the_record_is_there(wire: Observer, where: str) -> None:
    wire.publish(TOPIC, {}, b"early")
    later = threading.Timer(0.05, lambda: wire.publish(TOPIC, {}, b"wanted"))
    later.start()
    began = time.monotonic()

    found = wire.wait_for(lambda each: each.payload == b"wanted", 20.0, where=where)  # type: ignore[arg-type]

    assert found is not None
    assert time.monotonic() - began < 10, "it waited for the end of its patience"
    later.join()
    again = wire.wait_for(lambda each: each.payload == b"early", 0.0, where=where)  # type: ignore[arg-type]
    assert again is not None, "what came before the wait counts too"


@pytest.mark.parametrize("where", ["tap", "log"])
def test_waiting_gives_up_in_time(wire: Observer, where: str) -> None:
    wire.publish(TOPIC, {}, b"other")

    assert wire.wait_for(lambda each: each.payload == b"x", 0.05, where=where) is None  # type: ignore[arg-type]
    assert wire.wait_until(lambda: len(wire.records()) > 1, 0.05) is False


def test_a_round_trip_is_timed(wire: Observer) -> None:
    assert 0 < wire.ping() < 5


def test_a_closed_observer_says_so_at_once(running: Broker) -> None:
    lane = running.lane()
    wire = lane.observe()
    wire.close()

    with pytest.raises(broker.BrokerError):
        wire.records()
