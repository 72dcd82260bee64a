"""Kafka brokers: one of our own, or one that the user names. Lanes follow one another.

Kafka has no accounts, and the contract fixes the names of its topics. So all lanes share the
topics, one after the other: a new lane empties them (records deleted up to the end of each log),
ends the lane before, and gives its groups names of their own.
"""

from __future__ import annotations

import itertools
import secrets
import struct
import threading
import weakref
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ampy_conformance._errors import UsageError
from ampy_conformance.broker import kafka_admin
from ampy_conformance.broker.base import Approach, Broker, Lane
from ampy_conformance.broker.facts import BrokerError, redact
from ampy_conformance.broker.kafka_docker import KafkaContainer
from ampy_conformance.broker.kafka_observer import PARTITIONS, KafkaObserver, fill
from ampy_conformance.broker.kafka_server import KafkaServer, free_ports
from ampy_conformance.broker.kafka_tap import KafkaTap
from ampy_conformance.broker.kafka_wire import KafkaConnection, KafkaLink

if TYPE_CHECKING:
    from pathlib import Path

    from ampy_conformance.broker.kafka_admin import RawRecord
    from ampy_conformance.broker.kafka_jars import Progress
    from ampy_conformance.broker.kafka_topics import Topics


# A request for the versions of the protocol: what a client says first (key 18, no client id).
GREETING = struct.pack(">ihhih", 10, 18, 0, 1, -1)


class KafkaLane(Lane):
    """The contract's topics, empty at the beginning, until the next lane is made."""

    def __init__(
        self, name: str, url: str, direct: str, observer: KafkaObserver, before: Approach | None
    ) -> None:
        self.name = name
        self.url = url
        self._direct = direct
        self._before = before
        self.names = {}
        self._observer = observer

    def group(self, name: str) -> str:
        """Return the name under which a group of this lane joins: no other lane's group has it."""
        return f"{name}.{self.name}"

    def approach(self) -> Approach | None:
        """Return where a proxy may stand before the broker."""
        return self._before

    def untap(self) -> str:
        """Let the observer stop following the log; returns the URL that leads past the relay."""
        self._observer.untap()
        return self._direct

    def observe(self) -> KafkaObserver:
        """Return the lane's observer."""
        return self._observer

    def close(self) -> None:
        """Leave the lane."""
        self._observer.close()


class _Kafka(Broker):
    """What both kinds share: lanes over one set of topics."""

    kind = "kafka"
    durable = True
    # Whether the lane's observer has to follow the logs to know what passes.
    _follows = True

    def __init__(self, topics: Topics, host: str, port: int, url: str) -> None:
        self._topics = topics
        self.transport_headers = (topics.header,)
        self._where = (host, port)
        self._url = url
        self._link = KafkaLink(host, port)
        self._run = secrets.token_hex(3)
        self._numbers = itertools.count(1)
        self._current: KafkaLane | None = None
        self._lock = threading.Lock()
        check(self._link)
        kafka_admin.create_topics(self._link, topics.all(), PARTITIONS)
        kafka_admin.warm_up(self._link)

    def lane(self) -> KafkaLane:
        """End the lane before and return a new one, with empty topics."""
        with self._lock:
            if self._current is not None:
                self._current.close()
                if self._current.observe().full:  # it could not heal them: the broker was away
                    fill(self._link, self._topics.all(), full=False)
            places = [
                (name, number)
                for name, count in kafka_admin.topics(self._link).items()
                if self._topics.ours(name)
                for number in range(count)
            ]
            ends = kafka_admin.offsets(self._link, places, kafka_admin.LATEST)
            starts = kafka_admin.offsets(self._link, places, kafka_admin.EARLIEST)
            filled = {each: end for each, end in ends.items() if end > starts[each]}
            if filled:
                kafka_admin.delete_records(self._link, filled)
            old = set(kafka_admin.group_names(self._link))
            name = f"{self._run}-{next(self._numbers)}"
            observer = KafkaObserver(*self._where, self._topics, ends, old, follows=self._follows)
            self._current = KafkaLane(name, self._url, self._straight(), observer, self._approach())
            return self._current

    def _approach(self) -> Approach | None:
        return None

    def _straight(self) -> str:
        return "kafka://{}:{}".format(*self._where)

    def _leave(self) -> None:
        if self._current is not None:
            self._current.close()
        self._link.close()


class EmbeddedKafka(_Kafka):
    """A Kafka of our own, behind a relay that sees what is produced."""

    provenance = "embedded"
    _follows = False

    def __init__(
        self,
        topics: Topics,
        directory: Path | None = None,
        progress: Progress | None = None,
        *,
        docker: bool = False,
    ) -> None:
        self._docker = docker
        self.tap = KafkaTap(self._told, lambda: kafka_admin.topic_ids(self._link))
        binding, proxied = self.tap.listen(), self.tap.listen()
        (self._proxy_port,) = free_ports(1)
        self._before_proxy = f"kafka://127.0.0.1:{proxied}"
        relays = {"BINDING": binding, "PROXIED": self._proxy_port}
        try:
            self.server: KafkaServer | KafkaContainer = (
                KafkaContainer(relays) if docker else KafkaServer(directory, progress, relays)
            )
        except BaseException:
            self.tap.close()
            raise
        self.tap.lead(binding, self.server.ports["BINDING"])
        self.tap.lead(proxied, self.server.ports["PROXIED"])
        # For callers that end without `stop`: no folder is left behind.
        self._finalizer = weakref.finalize(self, self.server.stop)
        self.version = self.server.version
        try:
            super().__init__(topics, "127.0.0.1", self.server.port, f"kafka://127.0.0.1:{binding}")
        except BaseException:
            self.tap.close()
            self._finalizer()
            raise

    def _told(self, record: RawRecord, t_ns: int) -> None:
        lane = self._current
        if lane is not None and self._topics.ours(record.partition[0]):
            lane.observe().told(record, t_ns)

    def _approach(self) -> Approach:
        return Approach(self._before_proxy, self._proxy_port, GREETING)

    def facts(self) -> dict[str, Any]:
        """Return what the report says of the broker."""
        return {
            **super().facts(),
            "provision": "docker" if self._docker else "process",
            "java": self.server.java,
            "start_seconds": self.server.seconds,
        }

    @property
    def alive(self) -> bool:
        """Tell whether the server process runs."""
        return self.server.alive

    @property
    def pid(self) -> int | None:
        """The server's process."""
        return self.server.pid

    def kill(self) -> None:
        """End the server with SIGKILL."""
        self.server.kill()

    def freeze(self) -> None:
        """Stop the broker without ending it."""
        self.server.freeze()

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self.server.thaw()

    def restart(self) -> None:
        """Start the killed server again on its port and data; returns when it serves every topic."""
        self.server.start()
        kafka_admin.wait_served(self._link, self._topics.all(), PARTITIONS)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._leave()
        self.tap.close()
        self._finalizer()


class UserKafka(_Kafka):
    """A Kafka of one node that the user runs, for tests only."""

    provenance = "user"

    def __init__(self, topics: Topics, url: str, *, dedicated: bool) -> None:
        host, port = address(url)
        link = KafkaConnection(host, port)
        try:
            cluster = link.cluster()
        finally:
            link.close()
        if len(cluster.nodes) != 1:
            raise UsageError(
                f"the Kafka at {redact(url)} has {len(cluster.nodes)} nodes; the suite reads the "
                "log raw from one node only: give a broker of one node"
            )
        if not dedicated:
            raise UsageError(
                f"a certification deletes every record in the topics {topics.root}* of the broker; "
                "add --dedicated-broker if that broker is for tests only"
            )
        self.version = "4.1 or newer"
        super().__init__(topics, host, port, url)

    @property
    def alive(self) -> bool:
        """Tell whether the broker answers."""
        try:
            KafkaConnection(*self._where, timeout=1.0).close()
        except BrokerError:
            return False
        return True

    def kill(self) -> None:
        """Refuse: it is not ours."""
        raise BrokerError("a broker given by URL is not killed; leave --broker out for this test")

    def restart(self) -> None:
        """Refuse: it is not ours."""
        raise BrokerError(
            "a broker given by URL is not restarted; leave --broker out for this test"
        )

    def stop(self) -> None:
        """Leave the broker as it is."""
        self._leave()


def address(url: str) -> tuple[str, int]:
    """Return host and port of a broker's URL, `kafka://HOST[:PORT]`. UsageError for any other."""
    parts = urlsplit(url)
    try:
        port = parts.port or 9092
    except ValueError:
        port = 0
    if parts.scheme != "kafka" or not parts.hostname or not port or parts.path.strip("/"):
        raise UsageError(
            f"{redact(url)} is no URL of a Kafka; give one like kafka://127.0.0.1:9092"
        )
    if parts.username or parts.password:
        raise UsageError("the suite logs in to no Kafka; give one without authentication")
    return parts.hostname, port


def check(link: KafkaLink) -> None:
    """Write raw records and read them back. BrokerError where this Kafka cannot be relied on."""
    name = f"ampy-conform-{secrets.token_hex(6)}"
    place = (name, 0)
    records = [(b"key", f"sentinel {each}".encode(), [("n", b"%d" % each)]) for each in range(3)]
    kafka_admin.create_topics(link, [name], 1)
    try:
        code, base = kafka_admin.produce(link, {place: kafka_admin.batch(records)})[place]
        page = kafka_admin.fetch(link, {place: 0}, wait=1.0).get(place)
        seen = [(each.key, each.value, list(each.headers)) for each in page.records] if page else []
        _demand(code == 0 and base == 0, "does not store records from offset 0 on")
        _demand(seen == records, "does not give back the records that it has acknowledged")
        ends = kafka_admin.offsets(link, [place], kafka_admin.LATEST)
        _demand(ends[place] == 3 and page and page.end == 3, "tells a wrong end of its log")
        kafka_admin.delete_records(link, {place: 2})
        starts = kafka_admin.offsets(link, [place], kafka_admin.EARLIEST)
        _demand(starts[place] == 2, "does not delete records when it is told to")
    finally:
        kafka_admin.delete_topics(link, [name])


def _demand(holds: object, says: str) -> None:
    if not holds:
        raise BrokerError(f"what answers is no Kafka to judge on: it {says}")
