"""The embedded nats-server and its raw observer, against the real thing."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats
import nats.js.api
import pytest

from ampy_conformance import _process, broker
from ampy_conformance._errors import UsageError
from ampy_conformance.broker import BrokerError, nats_server
from ampy_conformance.broker.nats_broker import EmbeddedNats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from nats.aio.client import Client

DOMAINS = ("bars", "orders", "dlq")
TOPIC = "ampy.dev.bars.v1.XNAS.AAPL"


def start(**options: Any) -> EmbeddedNats:
    """Start a server of our own."""
    started = broker.provision("nats", domains=DOMAINS, lanes=options.pop("lanes", 16), **options)
    assert isinstance(started, EmbeddedNats)
    return started


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedNats]:
    """One server for the tests that leave it alive."""
    with start() as started:
        yield started


def with_client(url: str, work: Callable[[Client], Awaitable[Any]]) -> Any:
    """Do something with nats-py, a client that is not ours."""

    async def run() -> Any:
        client = await nats.connect(url)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(run())


def gone(pid: int, patience: float = 5.0) -> bool:
    """Tell whether the process is gone, or becomes so."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        threading.Event().wait(0.01)
    return False


def test_the_server_is_real_and_says_its_version(running: EmbeddedNats) -> None:
    assert running.facts()["kind"] == "nats"
    assert int(running.version.split(".")[0]) >= 2
    assert running.ours
    assert running.durable


def test_streams_have_explicit_settings(running: EmbeddedNats) -> None:
    lane = running.lane()

    async def look(client: Client) -> Any:
        found = await client.jetstream().streams_info()
        return {each.config.name: each.config for each in found}

    configs = with_client(lane.url, look)
    assert {"AMPY", "AMPY_DLQ"} == set(configs)
    assert configs["AMPY"].subjects == ["ampy.*.bars.>", "ampy.*.orders.>"]
    assert configs["AMPY"].storage == nats.js.api.StorageType.FILE
    assert configs["AMPY"].duplicate_window == 120
    assert configs["AMPY_DLQ"].subjects == ["ampy.*.dlq.>"]
    lane.close()


def test_the_tap_sees_what_no_stream_takes_and_what_the_broker_deduplicates(
    running: EmbeddedNats,
) -> None:
    lane = running.lane()

    async def publish(client: Client) -> None:
        await client.publish("ampy.dev.nonsense.v1.x", b"lost")
        for _ in range(2):
            await client.jetstream().publish(TOPIC, b"twice", headers={"Nats-Msg-Id": "1"})

    with_client(lane.url, publish)
    wire = lane.observe()
    wire.ping()
    assert [each.payload for each in wire.tap()] == [b"lost", b"twice", b"twice"]
    assert [each.payload for each in wire.records()] == [b"twice"]
    lane.close()


def test_the_tap_does_not_keep_a_push_consumer_bound(running: EmbeddedNats) -> None:
    """A tap on `>` would count as interest in every inbox: a dead member would seem alive."""
    lane = running.lane()

    async def leave(client: Client) -> None:
        await client.jetstream().subscribe(TOPIC, durable="group")

    with_client(lane.url, leave)

    async def bound(client: Client) -> Any:
        return (await client.jetstream().consumer_info("AMPY", "group")).push_bound

    assert not with_client(lane.url, bound)
    lane.close()


def test_the_tap_does_not_count_deliveries_as_publishes(running: EmbeddedNats) -> None:
    lane = running.lane()
    wire = lane.observe()
    wire.publish(TOPIC, {}, b"once")

    async def read(client: Client) -> None:
        pull = await client.jetstream().pull_subscribe(TOPIC, durable="pull")
        await pull.fetch(1, timeout=2)
        push = await client.jetstream().subscribe(TOPIC, durable="push")
        await push.next_msg(timeout=2)

    with_client(lane.url, read)
    wire.ping()
    assert len(wire.tap()) == 1
    lane.close()


def test_consumers_are_counted_as_the_broker_counts_them(running: EmbeddedNats) -> None:
    lane = running.lane()
    wire = lane.observe()
    wire.publish_many([(TOPIC, {}, b"%d" % each) for each in range(6)])

    async def consume(client: Client) -> None:
        pull = await client.jetstream().pull_subscribe(TOPIC, durable="group")
        got = await pull.fetch(4, timeout=2)
        for each in (got[0], got[1], got[3]):
            await each.ack_sync()

    with_client(lane.url, consume)
    (state,) = wire.consumers()
    assert (state.stream, state.name, state.durable) == ("AMPY", "group", True)
    assert (state.pending, state.pending_acks, state.delivered, state.ack_floor) == (2, 1, 4, 2)
    assert state.patterns == (TOPIC,)
    assert wire.acknowledged("group", "2")
    assert not wire.acknowledged("group", "3")
    lane.close()


def test_a_log_that_was_tampered_with_is_read_anew(running: EmbeddedNats) -> None:
    lane = running.lane()
    wire = lane.observe()
    wire.publish_many([(TOPIC, {}, b"%d" % each) for each in range(3)])
    assert len(wire.records()) == 3

    async def tamper(client: Client) -> None:
        await client.jetstream().delete_msg("AMPY", 2)

    with_client(lane.url, tamper)
    assert [each.payload for each in wire.records()] == [b"0", b"2"]

    async def anew(client: Client) -> None:
        context = client.jetstream()
        await context.delete_stream("AMPY")
        await context.add_stream(name="AMPY", subjects=["ampy.*.bars.>"])
        for each in (b"a", b"b"):
            await context.publish(TOPIC, each)

    with_client(lane.url, anew)
    assert [each.payload for each in wire.records()] == [b"a", b"b"]
    lane.close()


def test_a_killed_server_comes_back_with_what_it_acknowledged() -> None:
    with start() as started:
        lane = started.lane()
        wire = lane.observe()
        positions = wire.publish_many([(TOPIC, {"n": str(n)}, b"x") for n in range(50)])
        url, pid = lane.url, started.server.pid
        started.kill()
        assert not started.alive
        started.restart()

        assert (lane.url, positions) == (url, [each.position for each in wire.records()])
        assert started.server.pid != pid
        wire.ping()  # connected again, the tap subscribed anew
        wire.publish(TOPIC, {}, b"after")
        assert wire.wait_for(lambda each: each.payload == b"after", 5.0) is not None
        assert len(started.lane().observe().records()) == 0


def test_a_publish_into_a_dead_server_is_no_success() -> None:
    with start() as started:
        wire = started.lane().observe()
        started.kill()

        with pytest.raises(BrokerError):
            wire.publish(TOPIC, {}, b"")


def test_more_lanes_than_accounts() -> None:
    with start(lanes=2) as started:
        lanes = [started.lane() for _ in range(5)]
        for number, each in enumerate(lanes):
            each.observe().publish(TOPIC, {}, b"%d" % number)

        assert [[b"%d" % number] for number in range(5)] == [
            [record.payload for record in each.observe().records()] for each in lanes
        ]
        assert len({each.name for each in lanes}) == 5


def test_stop_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    started = start(directory=tmp_path)
    started.lane()
    pid = started.server.pid
    assert pid is not None
    assert list(tmp_path.iterdir())
    started.stop()
    started.stop()

    assert gone(pid)
    assert list(tmp_path.iterdir()) == []


def test_the_configuration_is_for_our_eyes_only(tmp_path: Path) -> None:
    with start(directory=tmp_path) as started:
        mode = (started.server.folder / "server.conf").stat().st_mode

        assert mode & 0o077 == 0


PARENT = """
import sys, threading
from pathlib import Path
from ampy_conformance import broker

def work():
    kind = sys.argv[1]
    started = broker.provision(kind, domains=("bars", "dlq"), directory=Path(sys.argv[2]), lanes=2)
    process = started.server._process if kind == "nats" else started._process
    started.lane()
    print(process.pid, flush=True)
    globals()["kept"] = started

if sys.argv[3] == "thread":
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    while Path(f"/proc/self/task/{thread.native_id}").exists():
        pass  # joined, but the kernel has not buried it yet
else:
    work()
kept.lane()  # the server runs, also when the thread that asked for it has ended
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
@pytest.mark.parametrize("kind", ["nats", "memory"])
@pytest.mark.parametrize("thread", ["main", "thread"])
def test_no_server_outlives_a_killed_harness(kind: str, thread: str, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT, kind, str(tmp_path), thread],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == b"ready\n"
        parent.send_signal(signal.SIGKILL)
        parent.wait()

    assert gone(pid)


# -- a broker of the user ---------------------------------------------------------------


def test_a_users_broker_is_not_touched_unless_it_is_dedicated(running: EmbeddedNats) -> None:
    lane = running.lane()
    lane.observe().publish(TOPIC, {}, b"precious")

    with pytest.raises(UsageError, match="--dedicated-broker"):
        broker.provision("nats", domains=DOMAINS, url=lane.url)
    assert [each.payload for each in lane.observe().records()] == [b"precious"]
    lane.close()


def test_each_lane_of_a_dedicated_broker_begins_empty(running: EmbeddedNats) -> None:
    users = running.lane()
    with broker.provision("nats", domains=DOMAINS, url=users.url, dedicated=True) as given:
        assert given.facts()["provenance"] == "user"
        assert not given.ours
        first = given.lane()
        first.observe().publish(TOPIC, {}, b"first")

        async def consumer(client: Client) -> None:
            await client.jetstream().pull_subscribe(TOPIC, durable="left-over")

        with_client(users.url, consumer)
        first.close()
        second = given.lane().observe()
        assert second.records() == []
        assert second.consumers() == []
        assert second.tap() == []
        for forbidden in (given.kill, given.restart):
            with pytest.raises(BrokerError, match="given by URL"):
                forbidden()
    assert running.alive
    users.close()


def test_a_foreign_stream_in_the_way_is_named(running: EmbeddedNats) -> None:
    users = running.lane()

    async def occupy(client: Client) -> None:
        await client.jetstream().delete_stream("AMPY")
        await client.jetstream().add_stream(name="THEIRS", subjects=["ampy.prod.bars.>"])

    with_client(users.url, occupy)
    given = broker.provision("nats", domains=DOMAINS, url=users.url, dedicated=True)
    with pytest.raises(BrokerError, match="another stream on this broker already takes subjects"):
        given.lane()
    users.close()


def test_wrong_credentials_are_told_and_not_shown(running: EmbeddedNats) -> None:
    lane = running.lane()
    wrong = lane.url.replace("@", "0@")

    with pytest.raises(BrokerError, match=r"nats://\*\*\*@.* refuses .*Authorization") as caught:
        broker.provision("nats", domains=DOMAINS, url=wrong)
    assert "lane-" not in str(caught.value)
    lane.close()


def test_a_server_without_jetstream_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = _process.spawn(
        [nats_server.find(), "-a", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        message = ""
        deadline = time.monotonic() + 5
        while "JetStream" not in message and time.monotonic() < deadline:
            with pytest.raises(BrokerError) as caught:
                broker.provision("nats", domains=DOMAINS, url=f"nats://127.0.0.1:{port}")
            message = str(caught.value)
        assert "start the server with -js" in message
    finally:
        _process.end(process)


# -- reading a user's stream ------------------------------------------------------------


def test_a_users_stream_is_read_and_left_as_it_was(running: EmbeddedNats) -> None:
    lane = running.lane()
    wire = lane.observe()
    other = "ampy.prod.orders.v1.requests"
    wire.publish_many([(TOPIC, [("n", str(n)), ("N", "")], b"%d" % n) for n in range(700)])
    wire.publish(other, {}, b"order")

    found = list(broker.read_only(lane.url, "ampy.dev.>", max_count=10_000, max_seconds=10))

    wire.ping()
    stored = wire.records("ampy.dev.>")
    assert found == stored
    assert wire.consumers() == []
    assert len(wire.tap()) == 701
    assert [each.payload for each in broker.read_only(lane.url, other, 10, 5)] == [b"order"]
    assert len(list(broker.read_only(lane.url, ">", max_count=3, max_seconds=5))) == 3
    assert list(broker.read_only(lane.url, ">", max_count=10, max_seconds=0)) == []
    lane.close()


def test_all_streams_that_carry_the_subject_are_read(running: EmbeddedNats) -> None:
    lane = running.lane()
    wire = lane.observe()
    wire.publish("ampy.dev.dlq.v1.bars", {}, b"letter")
    wire.publish(TOPIC, {}, b"bar")

    found = {(each.stream, each.payload) for each in broker.read_only(lane.url, "ampy.>", 10, 5)}
    assert {("AMPY", b"bar"), ("AMPY_DLQ", b"letter")} == found
    lane.close()


def test_large_records_are_read_in_bounded_batches(
    running: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ampy_conformance.broker.reading.BATCH_BYTES", 250_000)
    lane = running.lane()
    sizes = [100_000, 200_000, 500_000, 10]  # the third is larger than a batch may be
    lane.observe().publish_many([(TOPIC, {}, b"x" * size) for size in sizes])

    found = [len(each.payload) for each in broker.read_only(lane.url, "ampy.>", 10, 5)]
    assert sizes == found
    lane.close()


def test_a_subject_that_no_stream_carries_is_told(running: EmbeddedNats) -> None:
    lane = running.lane()

    with pytest.raises(
        UsageError, match=r"no stream on nats://\*\*\*@.* carries the subject foo\.>"
    ):
        list(broker.read_only(lane.url, "foo.>", 10, 5))
    lane.close()
