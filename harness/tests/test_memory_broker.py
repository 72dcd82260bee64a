"""The memory broker's wire protocol, frame by frame, with a client of bare sockets."""

from __future__ import annotations

import base64
import json
import queue
import secrets
import socket
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pytest

from ampy_conformance import broker
from ampy_conformance.broker import BrokerError
from ampy_conformance.broker.memory_client import MemoryConnection
from ampy_conformance.broker.memory_state import Group, Lane, Member, Record, RefusedError, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.broker import Broker

TOPIC = "ampy.dev.bars.v1.XNAS.AAPL"
OTHER = "ampy.dev.orders.v1.requests"


@pytest.fixture(scope="module")
def running() -> Iterator[Broker]:
    """One server for all tests."""
    with broker.provision("memory", domains=("bars", "orders", "dlq")) as started:
        yield started


@pytest.fixture
def url(running: Broker) -> Iterator[str]:
    """The URL of a fresh lane."""
    lane = running.lane()
    yield lane.url
    lane.close()


class Client:
    """A client that knows of the protocol only what its description says."""

    def __init__(self, url: str, **hello: Any) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection(("127.0.0.1", parts.port or 0), 5)
        self.stream = self.socket.makefile("rb")
        self.events: list[dict[str, Any]] = []
        self.number = 0
        self.greeting = self.ask(
            "hello", **(hello or {"lane": parts.path.lstrip("/"), "token": parts.username})
        )

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request, keep the events that come before its answer, return the answer."""
        self.number += 1
        self.socket.sendall(json.dumps({"id": self.number, "op": op, **fields}).encode() + b"\n")
        while "re" not in (frame := json.loads(self.stream.readline())):
            self.events.append(frame)
        assert frame["re"] == self.number
        return dict(frame)

    def publish(self, *payloads: str, topic: str = TOPIC) -> None:
        """Publish records that are their payloads."""
        for each in payloads:
            body = base64.b64encode(each.encode()).decode()
            assert self.ask("publish", topic=topic, headers=[["n", each]], payload=body)["ok"]

    def join(self, consumer: str = "c", group: str = "g", **changes: Any) -> dict[str, Any]:
        """Join a group."""
        fields: dict[str, Any] = {
            "stream": "AMPY",
            "patterns": ["ampy.dev.bars.>"],
            "start": "earliest",
        }
        fields |= {"member": "m", "redelivery_ms": 60_000, "max_pending": 100}
        return self.ask("join", consumer=consumer, group=group, **{**fields, **changes})

    def event(self) -> dict[str, Any]:
        """Return the next event."""
        return self.events.pop(0) if self.events else dict(json.loads(self.stream.readline()))

    def delivered(self, count: int) -> list[tuple[str, int]]:
        """Return (payload, attempt) of the next deliveries."""
        got = [self.event() for _ in range(count)]
        assert {"deliver"} == {each["event"] for each in got}
        return [(base64.b64decode(each["payload"]).decode(), each["attempt"]) for each in got]

    def quiet(self) -> bool:
        """Tell that no event has come: a ping is answered after whatever was sent before."""
        self.ask("ping")
        return not self.events

    def close(self) -> None:
        """Hang up."""
        self.stream.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def test_the_greeting_names_the_streams(url: str) -> None:
    with Client(url) as client:
        assert client.greeting["version"] == 1
        assert client.greeting["max_record_bytes"] == 1048576
        assert client.greeting["streams"] == {
            "AMPY": ["ampy.*.bars.>", "ampy.*.orders.>"],
            "AMPY_DLQ": ["ampy.*.dlq.>"],
        }


@pytest.mark.parametrize(
    "hello", [{"lane": "lane-1", "token": "x"}, {"lane": "?", "token": "x"}, {"admin": "x"}]
)
def test_without_the_token_there_is_no_entry(url: str, hello: dict[str, str]) -> None:
    with Client(url, **hello) as client:
        assert client.greeting["code"] == "denied"
        assert client.stream.read() == b"", "the connection is over"


def test_nothing_is_done_before_the_greeting(url: str) -> None:
    port = urlsplit(url).port
    with socket.create_connection(("127.0.0.1", port or 0), 5) as raw, raw.makefile("rb") as stream:
        raw.sendall(b'{"id": 1, "op": "groups"}\n')
        assert json.loads(stream.readline())["code"] == "denied"


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[]\n", b'{"id": 7}\n', b'{"id": 7, "op": "publish"}\n', b"\xff\n"]
)
def test_what_is_no_frame_is_answered_and_ends_the_connection(url: str, line: bytes) -> None:
    with Client(url) as client:
        client.socket.sendall(line)
        assert json.loads(client.stream.readline())["code"] == "bad_frame"
        assert client.stream.read() == b""


def test_a_line_without_end_ends_the_connection_and_not_the_server(url: str) -> None:
    with Client(url) as client:
        try:
            client.socket.sendall(b"x" * 9_000_000)
            assert client.stream.read() == b""
        except ConnectionError:
            pass  # it hung up while we were still sending
    with Client(url) as client:
        assert client.ask("ping")["ok"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"topic": "ampy.dev.nonsense.v1.x"}, "no_stream"),
        ({"topic": "ampy.dev.bars.v1.*"}, "bad_topic"),
        ({"payload": base64.b64encode(b"x" * 1048576).decode()}, "too_large"),
    ],
)
def test_a_refused_record_is_not_stored(url: str, fields: dict[str, str], code: str) -> None:
    with Client(url) as client:
        record = {"topic": TOPIC, "headers": [["h", "1"]], "payload": "", **fields}
        assert client.ask("publish", **record)["code"] == code
        assert client.ask("read", stream="AMPY", after="0", max=10)["last"] == "0"


@pytest.mark.parametrize("op", ["create_lane", "delete_lane", "nonsense", "__init__"])
def test_a_client_of_a_lane_is_no_administrator(url: str, op: str) -> None:
    with Client(url) as client:
        assert client.ask(op, lane="lane-1", token="x", streams={})["code"] == "unknown_op"


def test_a_group_is_given_what_its_patterns_cover_in_order(url: str) -> None:
    with Client(url) as client:
        client.publish("1", "2")
        client.publish("not for it", topic=OTHER)
        assert {"active": True, "created": True}.items() <= client.join().items()
        client.publish("3")

        assert client.delivered(3) == [("1", 1), ("2", 1), ("3", 1)]
        assert client.quiet()


def test_latest_begins_after_what_is_there(url: str) -> None:
    with Client(url) as client:
        client.publish("old")
        client.join(start="latest")
        client.publish("new")

        assert client.delivered(1) == [("new", 1)]


def test_groups_are_independent(url: str) -> None:
    with Client(url) as client:
        client.publish("1")
        client.join("c1", "g1")
        assert client.delivered(1) == [("1", 1)]
        client.ask("ack", consumer="c1", positions=["1"])
        client.join("c2", "g2")
        assert client.delivered(1) == [("1", 1)]


def test_a_group_remembers_what_was_acknowledged_when_all_members_are_gone(url: str) -> None:
    with Client(url) as first:
        first.publish("1", "2", "3")
        first.join()
        first.delivered(3)
        assert first.ask("ack", consumer="c", positions=["1", "3"])["settled"] == 2
        assert first.ask("ack", consumer="c", positions=["1"])["settled"] == 0
    with Client(url) as second:
        second.publish("4")
        assert second.join()["created"] is False
        assert second.delivered(2) == [("2", 2), ("4", 1)]


def test_an_unacknowledged_record_comes_again(url: str) -> None:
    with Client(url) as client:
        client.publish("1")
        client.join(redelivery_ms=20)
        assert client.delivered(3) == [("1", 1), ("1", 2), ("1", 3)]
        client.ask("ack", consumer="c", positions=["1"])
        (state,) = client.ask("groups")["groups"]
        assert (state["pending"], state["pending_acks"], state["ack_floor"]) == (0, 0, 1)


def test_a_refused_record_comes_again_after_its_delay_and_others_meanwhile(url: str) -> None:
    with Client(url) as client:
        client.publish("1")
        client.join()
        assert client.delivered(1) == [("1", 1)]
        client.ask("nak", consumer="c", positions=["1"], delay_ms=60)
        client.publish("2")
        assert client.delivered(2) == [("2", 1), ("1", 2)]


def test_no_more_records_are_open_than_allowed(url: str) -> None:
    with Client(url) as client:
        client.publish("1", "2", "3")
        client.join(max_pending=2)
        assert client.delivered(2) == [("1", 1), ("2", 1)]
        assert client.quiet()
        client.ask("nak", consumer="c", positions=["1"], delay_ms=60_000)
        assert client.quiet(), "a record that waits for redelivery counts as open"
        client.ask("ack", consumer="c", positions=["2"])
        assert client.delivered(1) == [("3", 1)]


def test_one_member_is_active_and_the_next_takes_over_what_it_had_open(url: str) -> None:
    with Client(url) as one, Client(url) as two:
        one.publish("1", "2", "3")
        one.join(member="one")
        assert two.join(member="two")["active"] is False
        one.delivered(3)
        one.ask("ack", consumer="c", positions=["2"])
        assert two.ask("ack", consumer="c", positions=["1"])["code"] == "not_active"
        assert two.quiet()
        one.close()

        assert two.event()["event"] == "active"
        two.publish("4")
        assert two.delivered(3) == [("1", 2), ("3", 2), ("4", 1)]


def test_a_member_that_leaves_hands_over_at_once(url: str) -> None:
    with Client(url) as one, Client(url) as two:
        one.publish("1")
        one.join()
        two.join()
        one.delivered(1)
        assert one.ask("leave", consumer="c")["ok"]
        assert two.event()["event"] == "active"
        assert two.delivered(1) == [("1", 2)]
        assert one.ask("ack", consumer="c", positions=["1"])["code"] == "unknown_consumer"


def test_a_known_group_with_other_patterns_is_refused(url: str) -> None:
    with Client(url) as client:
        client.join("c1")
        assert client.join("c2", patterns=[">"])["code"] == "exists"
        assert client.join("c3", group="h", stream="NONE")["code"] == "unknown_stream"


def test_the_log_is_read_in_pages(url: str) -> None:
    with Client(url) as client:
        client.publish("1", "2", "3")
        page = client.ask("read", stream="AMPY", after="1", max=1)

        assert [each["position"] for each in page["records"]] == ["2"]
        assert page["last"] == "3"


def test_the_memory_broker_does_not_pretend_to_be_durable(running: Broker) -> None:
    assert not running.durable
    with pytest.raises(BrokerError, match="keeps nothing over a restart"):
        running.restart()


def test_a_dead_broker_is_told() -> None:
    with broker.provision("memory", domains=("bars", "dlq")) as started:
        wire = started.lane().observe()
        started.kill()
        assert not started.alive
        with pytest.raises(BrokerError, match="gone"):
            wire.publish(TOPIC, {}, b"")


def test_the_harness_client_fails_what_is_open_when_the_server_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = MemoryConnection(server.getsockname()[1])
        accepted, _ = server.accept()
        future = client.ask("ping")
        accepted.close()
        with pytest.raises(BrokerError, match="gone"):
            client.result(future)
        client.close()


# -- the state alone, with a clock of ours ----------------------------------------------


def a_group(count: int, **changes: float) -> tuple[Group, queue.SimpleQueue[dict[str, Any]]]:
    """Return a group over `count` records with one member, and the queue of what it is sent."""
    sent: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    stream = Stream("S", [">"], [Record("a.b", [], "", 0, 0) for _ in range(count)])
    group = Group(stream, "g", [">"], "earliest")
    for name, value in changes.items():
        setattr(group, name, value)
    group.join(Member("c", "m", sent.put))
    return group, sent


def positions(sent: queue.SimpleQueue[dict[str, Any]]) -> list[str]:
    """Return the positions sent since the last call."""
    found = []
    while not sent.empty():
        found.append(sent.get()["position"])
    return found


def test_in_progress_puts_redelivery_off() -> None:
    group, sent = a_group(1, redelivery=10.0)
    assert group.pump(0.0) == 10.0
    assert positions(sent) == ["1"]
    group.postpone([1], 9.0 + group.redelivery)

    assert group.pump(10.0) == 19.0
    assert positions(sent) == []
    group.pump(19.0)
    assert positions(sent) == ["1"]


def test_what_is_due_again_goes_before_what_is_new_in_the_order_of_the_log() -> None:
    group, sent = a_group(5, redelivery=10.0, max_pending=3)
    group.pump(0.0)
    assert positions(sent) == ["1", "2", "3"]
    group.ack([2])
    group.postpone([3], 1.0)
    group.postpone([1], 2.0)
    group.pump(5.0)

    assert positions(sent) == ["1", "3", "4"]


def test_the_floor_is_below_the_first_open_record() -> None:
    group, _ = a_group(4)
    group.pump(0.0)
    group.ack([1, 3])
    assert (
        group.state()["ack_floor"],
        group.state()["pending_acks"],
        group.state()["delivered"],
    ) == (1, 2, 4)
    group.ack([2, 4])
    assert group.state()["ack_floor"] == 4


def test_a_full_stream_refuses_and_the_other_does_not() -> None:
    lane = Lane(secrets.token_hex(4), {"A": ["a.>"], "B": ["b.>"]})
    lane.stream("A").full = True
    with pytest.raises(RefusedError) as caught:
        lane.publish(Record("a.x", [], "", 0, 0))

    assert caught.value.code == "full"
    assert lane.publish(Record("b.x", [], "", 0, 0))[1] == 1
