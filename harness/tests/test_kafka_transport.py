"""The Kafka transport on a real broker: places, order, commits, rebalances, replay, loss of the broker."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from concurrent.futures import Future

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka import Consumer, Producer, TopicPartition

from ampy_conformance.bindings import kafka_cluster, raw_kafka
from ampy_conformance.bindings.kafka_membership import PAUSE_AFTER, KafkaMembership, Ledger
from ampy_conformance.bindings.kafka_records import exact, may_hold, short
from ampy_conformance.bindings.kafka_transport import KafkaTransport
from ampy_conformance.bindings.transport import Refusal, Tuning, Unknown, acknowledged
from ampy_conformance.broker import kafka_admin
from ampy_conformance.broker.facts import BrokerError
from ampy_conformance.broker.kafka_server import KafkaServer
from ampy_conformance.broker.kafka_wire import KafkaLink

TUNING = Tuning(publish_timeout=3.0, redelivery=1.2, max_in_flight=256)


@pytest.fixture(scope="module")
def kafka():
    try:
        server = KafkaServer()
    except BrokerError as error:
        pytest.skip(str(error))
    try:
        link = KafkaLink("127.0.0.1", server.port)
        kafka_admin.warm_up(link)
        link.close()
        yield server
    finally:
        server.stop()


class Bench:
    """A transport, and a domain's version that no other test uses."""

    def __init__(self, server, tuning=TUNING):
        self.server = server
        self.tuning = tuning
        # Another major version is another Kafka topic, so that no test sees another's records.
        self.version = f"v{int.from_bytes(os.urandom(3), 'big') + 2}"
        self.topic = f"ampy.dev.bars.{self.version}"
        self.group = f"group-{uuid.uuid4()}"
        self.transports = []
        self.members = []

    async def transport(self, cls=KafkaTransport):
        found = cls()
        await found.connect(self.server.url, {}, self.tuning)
        self.transports.append(found)
        return found

    async def partitions(self, count):
        admin = kafka_cluster.cluster(kafka_cluster.address_of(self.server.url)).admin
        made = admin.create_topics([kafka_cluster.NewTopic(self.topic, count, 1)])
        for each in made.values():
            await asyncio.wrap_future(each)

    async def publish(self, transport, *keys, subtopic="XNAS.AAPL", headers=None):
        return [
            await transport.publish(
                f"{self.topic}.{subtopic}",
                {"partition_key": key, "n": str(n), **(headers or {})},
                f"{key}-{n}".encode(),
                None,
            )
            for n, key in enumerate(keys)
        ]

    async def member(self, transport, taken, *, start="earliest", shifts=None, pattern=None):
        member = await transport.join(
            pattern or f"{self.topic}.>", self.group, "m", start, taken, shifts
        )
        self.members.append(member)
        return member

    async def close(self):
        for each in self.members:
            await each.leave()
        for each in self.transports:
            await each.close()

    def fill(self, count):
        """Store so many records on one partition, by a client of its own."""
        producer = Producer({"bootstrap.servers": kafka_cluster.address_of(self.server.url)})
        for number in range(count):
            producer.produce(
                self.topic,
                str(number),
                headers=[("topic", f"{self.topic}.XNAS.AAPL"), ("partition_key", "a")],
                partition=0,
            )
        assert not producer.flush(20)

    def committed(self, partition=0):
        """Return what the broker has stored for the group, asked by a client of its own."""
        consumer = Consumer(
            {"bootstrap.servers": kafka_cluster.address_of(self.server.url), "group.id": self.group}
        )
        try:
            (found,) = consumer.committed([TopicPartition(self.topic, partition)], timeout=5)
        finally:
            consumer.close()
        return found.offset


def bench(test):
    """Run an asynchronous test with a bench of its own."""

    def run(kafka):
        async def inner():
            mine = Bench(kafka)
            try:
                await test(mine)
            finally:
                await mine.close()

        asyncio.run(inner())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


async def until(predicate, seconds=30.0):
    deadline = asyncio.get_running_loop().time() + seconds
    while not predicate():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def test_a_pattern_finds_its_topics():
    assert short("ampy.dev.bars.v1.XNAS.AAPL") == "ampy.dev.bars.v1"
    assert exact("ampy.dev.bars.v1.>")
    assert not exact("ampy.*.bars.v1.>")
    assert not exact("ampy.dev.>")
    assert may_hold("ampy.dev.>", "ampy.dev.bars.v1")
    assert may_hold("ampy.*.bars.v1.*.AAPL", "ampy.paper.bars.v1")
    assert not may_hold("ampy.dev.bars.v1.>", "ampy.dev.bars.v2")
    assert not may_hold("ampy.dev.bars", "ampy.dev.bars.v1")
    assert not may_hold("ampy.>", "other")
    assert may_hold("ampy.dev.bars.v1.>", "ampy.dev.bars.v1.XNAS.AAPL")
    assert may_hold("ampy.dev.dlq.v1.>", "ampy.dev.dlq.v1")
    assert not may_hold("ampy.dev.>", "ampy.dev.dlq.v1")


class SlowToTell(kafka_cluster.Cluster):
    """A cluster whose broker tells of a new topic, and then of its partitions, a little late."""

    def __init__(self):
        self.admin = self
        self.told = [{}, {"ampy.dev.bars.v1": 0}, {"ampy.dev.bars.v1": 3}]

    def create_topics(self, wanted, **_):
        made = Future()
        made.set_result(None)
        return {each.topic: made for each in wanted}

    async def topics(self):
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]


def test_a_topic_is_made_when_the_broker_tells_of_its_partitions():
    cluster = SlowToTell()
    asyncio.run(cluster.make(["ampy.dev.bars.v1"]))
    assert asyncio.run(cluster.topics()) == {"ampy.dev.bars.v1": 3}


def test_a_ledger_commits_no_further_than_the_first_gap():
    ledger = Ledger()
    for offset in (3, 4, 7, 8):  # 5 and 6 belong to no record
        ledger.begin(offset)
    ledger.settle(4)
    assert ledger.prefix is None
    assert ledger.beyond == 1
    ledger.settle(3)
    assert ledger.prefix == 5
    ledger.settle(8)
    assert (ledger.prefix, ledger.beyond, ledger.unsettled) == (5, 1, 1)
    ledger.settle(7)
    assert (ledger.prefix, ledger.beyond, ledger.unsettled) == (9, 0, 0)


@bench
async def test_what_is_published_comes_back_whole(mine):
    transport = await mine.transport()
    taken = []
    await mine.member(transport, taken.append)
    headers = {"partition_key": "a", "message_id": "7", "x_note": "zwölf"}
    position = await transport.publish(f"{mine.topic}.XNAS.AAPL", headers, b"\x00\xff", None)
    await until(lambda: taken)
    (record,) = taken
    assert record.topic == f"{mine.topic}.XNAS.AAPL"
    assert record.position == position == "0:0"
    assert dict(record.headers) == headers
    assert record.payload == b"\x00\xff"


@bench
async def test_the_key_decides_on_the_partition(mine):
    await mine.partitions(4)
    transport = await mine.transport()
    positions = await mine.publish(transport, *[f"key-{n % 12}" for n in range(36)])
    parts = {}
    for n, each in enumerate(positions):
        parts.setdefault(n % 12, set()).add(each.partition(":")[0])
    assert all(len(each) == 1 for each in parts.values())
    assert len({each for found in parts.values() for each in found}) > 1


@bench
async def test_only_the_pattern_is_handed_over_and_all_is_committed(mine):
    transport = await mine.transport()
    taken = []
    member = await mine.member(transport, taken.append, pattern=f"{mine.topic}.XNAS.AAPL")
    await mine.publish(transport, "a")
    await mine.publish(transport, "b", "b", subtopic="XNAS.MSFT")
    await mine.publish(transport, "a")
    await until(lambda: len(taken) == 2)
    assert [each.position for each in taken] == ["0:0", "0:3"]
    assert await acknowledged(member, taken[0])
    assert await acknowledged(member, taken[1])
    assert mine.committed() == 4
    assert await member.lag() == 0


@bench
async def test_a_commit_waits_for_the_records_before_it(mine):
    transport = await mine.transport()
    taken = []
    member = await mine.member(transport, taken.append)
    await mine.publish(transport, "a", "b", "c")
    await until(lambda: len(taken) == 3)
    assert await acknowledged(member, taken[1]) is False
    assert await acknowledged(member, taken[2]) is False
    assert mine.committed() == 0
    assert await member.lag() == 1
    assert await acknowledged(member, taken[0]) is True
    assert mine.committed() == 3


@bench
async def test_a_commit_carries_many_records(mine):
    """What is acknowledged one by one, faster than commits go out, is committed together."""
    transport = await mine.transport()
    taken, sent = [], []
    member = await mine.member(transport, taken.append)
    await mine.publish(transport, *"a" * 60)
    await until(lambda: len(taken) == 60)
    send = member.send
    member.send = lambda offsets: (sent.append(offsets), send(offsets))
    confirmed = []
    for each in taken:
        confirmed.append(asyncio.ensure_future(acknowledged(member, each)))
        await asyncio.sleep(0.008)
    assert all(await asyncio.gather(*confirmed))
    assert mine.committed() == 60
    assert len(sent) < 35


@bench
async def test_what_was_not_acknowledged_comes_again(mine):
    transport = await mine.transport()
    first, second = [], []
    member = await mine.member(transport, first.append)
    await mine.publish(transport, "a", "b", "c")
    await until(lambda: len(first) == 3)
    await acknowledged(member, first[0])
    mine.members.remove(member)
    await member.leave()
    await mine.member(transport, second.append)
    await until(lambda: len(second) == 2)
    assert [each.position for each in second] == ["0:1", "0:2"]


@bench
async def test_a_group_that_begins_at_the_end_keeps_that_place(mine):
    """Also where its first member leaves before it has handled anything."""
    transport = await mine.transport()
    await mine.publish(transport, "old")
    member = await mine.member(transport, lambda _: None, start="latest")
    mine.members.remove(member)
    await member.leave()
    await mine.publish(transport, "new")
    taken = []
    await mine.member(transport, taken.append, start="latest")
    await until(lambda: taken)
    assert [each.headers["partition_key"] for each in taken] == ["new"]


class Told:
    """Notes rebalances; what is in work lasts until `done`."""

    def __init__(self):
        self.here = set()
        self.done = asyncio.Event()
        self.gone = []
        self.leaving = None

    def assigned(self, logs):
        self.here |= set(logs)

    async def revoked(self, logs, leaving, patience):
        self.leaving = leaving
        if patience:
            await asyncio.wait_for(self.done.wait(), patience)
        self.here -= set(logs)
        self.gone += logs


@bench
async def test_a_second_member_is_given_its_share_after_the_first_has_finished(mine):
    await mine.partitions(2)
    transport = await mine.transport()
    one, two = Told(), Told()
    first, second = [], []
    a = await mine.member(transport, first.append, shifts=one)
    assert len(one.here) == 2
    await mine.publish(transport, *[f"key-{n}" for n in range(8)])
    await until(lambda: len(first) == 8)
    await mine.member(transport, second.append, shifts=two)
    await until(lambda: one.leaving is not None)
    assert second == []  # while the first one is at work
    going = [each for each in first if one.leaving(each)]
    assert 0 < len(going) < 8
    late = going[1:]
    acks = asyncio.ensure_future(acknowledged(a, going[0]))
    await asyncio.sleep(0.05)
    one.done.set()
    await until(lambda: two.here)
    assert await acks is True
    await until(lambda: len(second) == len(late))
    assert [each.position for each in second] == [each.position for each in late]
    assert await acknowledged(a, late[0]) is False  # it belongs to another member now
    stay = [each for each in first if not one.leaving(each)]
    assert [await acknowledged(a, each) for each in stay] == [True] * len(stay)


@bench
async def test_members_hold_no_more_than_they_may(mine):
    mine.tuning = Tuning(publish_timeout=3.0, max_in_flight=10)
    transport = await mine.transport()
    taken = []
    member = await mine.member(transport, taken.append)
    await mine.publish(transport, *["k"] * 50)
    await until(lambda: len(taken) >= 10)
    await asyncio.sleep(0.5)
    assert len(taken) == 10
    done = 0
    while done < 50:
        await until(lambda n=done: len(taken) > n)
        await acknowledged(member, taken[done])
        done += 1
        assert len(taken) - done <= 10
    assert [each.headers["n"] for each in taken] == [str(n) for n in range(50)]


@bench
async def test_the_log_is_read_without_a_group_and_from_a_time_on(mine):
    await mine.partitions(3)
    transport = await mine.transport()
    keys = [f"key-{n % 5}" for n in range(20)]
    await mine.publish(transport, *keys)
    await asyncio.sleep(0.05)
    between = time.time()
    await asyncio.sleep(0.05)
    await mine.publish(transport, "late", subtopic="XNAS.MSFT")
    whole = await transport.read(f"{mine.topic}.>")
    assert len(whole) == 21
    for key in set(keys):
        found = [int(e.headers["n"]) for e in whole if e.headers["partition_key"] == key]
        assert found == sorted(found)
    assert [each.position for each in whole] == [
        each.position for each in await transport.read(f"{mine.topic}.>")
    ]
    young = await transport.read(f"{mine.topic}.>", since=between)
    assert [each.headers["partition_key"] for each in young] == ["late"]
    assert [e.headers["partition_key"] for e in await transport.read(f"{mine.topic}.*.MSFT")] == [
        "late"
    ]
    assert await transport.read(f"ampy.dev.ticks.{mine.version}.>") == []


@bench
async def test_a_listener_hears_what_comes_from_now_on(mine):
    transport = await mine.transport()
    await mine.publish(transport, "old")
    heard = []
    await transport.listen(f"{mine.topic}.XNAS.AAPL", lambda *each: heard.append(each))
    await mine.publish(transport, "other", subtopic="XNAS.MSFT")
    await mine.publish(transport, "new")
    await until(lambda: heard)
    ((topic, headers, payload),) = heard
    assert (topic, headers["partition_key"], payload) == (
        f"{mine.topic}.XNAS.AAPL",
        "new",
        b"new-0",
    )


@bench
async def test_refusals_are_told_apart(mine):
    transport = await mine.transport()
    with pytest.raises(Refusal) as large:
        await transport.publish(f"{mine.topic}.X.Y", {}, bytes(2_000_000), None)
    assert large.value.code == "too_large"
    with pytest.raises(Refusal) as wrong:
        await transport.publish("ampy.dev.b@rs.v1.X.Y", {}, b"", None)
    assert wrong.value.code == "invalid_topic"
    # Neither harms the next record.
    assert await mine.publish(transport, "a") == ["0:0"]


@bench
async def test_a_record_of_another_producer_needs_no_header(mine):
    transport = await mine.transport()
    taken = []
    await mine.member(transport, taken.append)
    address = kafka_cluster.address_of(mine.server.url)
    await mine.publish(transport, "a")
    await until(lambda: taken)
    producer = Producer({"bootstrap.servers": address})
    producer.produce(mine.topic, value=None, headers=[("empty", None), ("bad", b"\xff")])
    producer.flush(5)
    await asyncio.sleep(0.5)
    assert len(taken) == 1  # the Kafka topic alone is no topic of the pattern
    (found,) = await transport.read(mine.topic)
    assert (found.topic, found.payload) == (mine.topic, b"")
    assert found.headers == {"empty": "", "bad": "�"}


@bench
async def test_new_topics_of_an_open_pattern_are_found(mine):
    transport = await mine.transport()
    taken = []
    await mine.member(transport, taken.append, pattern=f"ampy.*.bars.{mine.version}.>")
    await mine.publish(transport, "a")
    await until(lambda: taken)
    assert taken[0].topic.startswith(mine.topic)


def test_nobody_there_is_said_so():
    async def go():
        with pytest.raises(Unknown) as error:
            await KafkaTransport().connect("kafka://127.0.0.1:1", {}, TUNING)
        assert error.value.code == "not_connected"

    asyncio.run(go())


@pytest.mark.slow
@bench
async def test_the_broker_dies_and_comes_back(mine):
    """What was confirmed is there afterwards; what was not is unknown; work goes on."""
    transport = await mine.transport()
    taken = []
    member = await mine.member(transport, taken.append)
    await mine.publish(transport, "a", "b")
    await until(lambda: len(taken) == 2)
    assert await acknowledged(member, taken[0])
    mine.server.kill()
    with pytest.raises(Unknown):
        await mine.publish(transport, "c")
    assert await acknowledged(member, taken[1]) is False
    with pytest.raises(Unknown):
        await member.lag()
    await asyncio.to_thread(mine.server.start)
    position = None
    while position is None:
        try:
            (position,) = await mine.publish(transport, "d")
        except Unknown:
            await asyncio.sleep(0.1)
    await until(lambda: any(each.position == position for each in taken), 20)
    assert len({each.position for each in taken}) == len(taken)
    assert all([await acknowledged(member, each) for each in taken[2:]][-1:])
    assert mine.committed() == int(position.partition(":")[2]) + 1


@pytest.mark.slow
@bench
async def test_a_frozen_broker_promises_nothing(mine):
    transport = await mine.transport()
    await mine.publish(transport, "a")
    os.kill(mine.server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unknown):
            await mine.publish(transport, "b")
    finally:
        os.kill(mine.server.pid, signal.SIGCONT)
    assert await mine.publish(transport, "c")


class Counted(Consumer):
    """Tells how often it was made to throw away what it had fetched."""

    pauses = 0

    def pause(self, partitions):
        Counted.pauses += 1
        super().pause(partitions)


class Counting(KafkaMembership):
    def _make(self):
        return Counted({**kafka_cluster.settings(self._cluster.address), **self.options()})


class CountingTransport(KafkaTransport):
    membership = Counting


@pytest.mark.slow
@bench
async def test_who_is_merely_busy_keeps_what_was_fetched(mine):
    """To pause has everything fetched again: only a member that is without room for long does it."""
    Counted.pauses = 0
    await mine.partitions(1)
    await asyncio.to_thread(mine.fill, 3000)
    transport = await mine.transport(CountingTransport)
    taken, settled = [], []
    member = await mine.member(transport, taken.append)

    async def work(upto):
        while len(settled) < upto:
            await until(lambda: len(taken) > len(settled))
            batch = taken[len(settled) : len(settled) + 64]
            settled.extend(batch)
            await member.ack(batch, lambda *_: None)
            await asyncio.sleep(PAUSE_AFTER / 20)

    await work(2000)
    assert not Counted.pauses
    await until(lambda: Counted.pauses == 1)
    limit = TUNING.max_in_flight
    assert limit * 3 // 4 <= len(taken) - len(settled) <= limit
    await work(3000)
    assert [each.position for each in taken] == [f"0:{number}" for number in range(3000)]


@bench
async def test_the_raw_control_waits_for_no_batch(mine):
    """A call that may wait for several records waits for all of them, and the first is late."""
    calls = []

    class Noting(Consumer):
        def consume(self, count, timeout):
            calls.append((count, timeout))
            return super().consume(count, timeout)

    await mine.partitions(1)
    raw_kafka.Consumer, genuine = Noting, raw_kafka.Consumer
    driver, taken = raw_kafka.Driver(lambda *_, **__: None), []
    try:
        await driver._connect({"url": mine.server.url})
        join = {"subscription": "s", "group": mine.group, "pattern": mine.topic + ".>"}
        await driver._join({**join, "start": "earliest"}, taken.append)
        await asyncio.to_thread(mine.fill, 300)
        await until(lambda: len(taken) == 300)
    finally:
        raw_kafka.Consumer = genuine
        await driver._leave()
    assert any(count > 1 for count, _ in calls)
    assert all(count == 1 or not timeout for count, timeout in calls)


def test_a_commit_leaves_out_what_has_gone_to_another_member_meanwhile():
    """The broker asks who commits, and not whose the partition is."""
    member = KafkaMembership.__new__(KafkaMembership)
    mine, gone = Ledger(), Ledger()
    member._current = {("t", 0): mine, ("t", 1): Ledger()}
    sent, told = [], []
    member.send = sent.append
    member._tell = lambda _, stored: told.append(stored)
    offsets = [TopicPartition("t", 0, 5), TopicPartition("t", 1, 7)]
    member._send_mine(offsets, [mine, gone])
    assert [(each.partition, each.offset) for each in sent[0]] == [(0, 5)]
    member._send_mine(offsets[1:], [gone])
    assert (len(sent), told) == (1, [{}])
