"""What all buses of a process share of one Kafka cluster: administration and producer.

Both cost threads, and an idempotent producer half a second before its first record, so there is
one of each for every address. Everything here may be called from any thread or loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from ampy_conformance.bindings.transport import Refusal, Unknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from concurrent.futures import Future

    from confluent_kafka import Message

    from ampy_conformance.bindings.transport import Stored

    Headers = dict[str, str | bytes | None]
    Partition = tuple[str, int]  # topic and number
    Offsets = dict[Partition, int]

ASK_SECONDS = 8.0
PAUSE = 0.02
# After this long librdkafka takes a topic for missing, which the broker said at once.
PROPAGATION_MS = 500
FETCH = 0.001  # seconds between looks for answers, while some are expected

REFUSALS = {
    KafkaError.MSG_SIZE_TOO_LARGE: "too_large",
    KafkaError.RECORD_LIST_TOO_LARGE: "too_large",
    KafkaError._UNKNOWN_TOPIC: "invalid_topic",
    KafkaError._UNKNOWN_PARTITION: "invalid_topic",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "invalid_topic",
    KafkaError.TOPIC_EXCEPTION: "invalid_topic",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "denied",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "denied",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "denied",
    KafkaError._AUTHENTICATION: "denied",
    KafkaError.POLICY_VIOLATION: "denied",
    KafkaError.INVALID_RECORD: "invalid_record",
    KafkaError.NOT_ENOUGH_REPLICAS: "throttled",
    KafkaError._QUEUE_FULL: "throttled",
}
LOST = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._DESTROY,
}


def trouble(error: KafkaError) -> Refusal | Unknown:
    """Return what an error means: refused for certain, or nobody knows (it may still be stored)."""
    code = REFUSALS.get(error.code())
    if code is not None:
        return Refusal(code, f"Kafka refused it: {error.name()}")
    if error.code() in LOST:
        return Unknown("connection_lost", error.name())
    return Unknown("timeout", f"no acknowledgement ({error.name()})")


def settings(address: str) -> dict[str, Any]:
    """Return what every client is made with: quick, and quiet while the broker is away."""
    return {
        "bootstrap.servers": address,
        "log_level": 0,
        "socket.nagle.disable": True,
        "retry.backoff.ms": 20,
        "retry.backoff.max.ms": 200,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 250,
        # A broker that was away for a while may tell of no brokers at all, itself neither: librdkafka
        # then knows nobody to ask any more, by default for five minutes.
        "metadata.recovery.rebootstrap.trigger.ms": 500,
    }


def address_of(url: str) -> str:
    """Return `host:port[,host:port]` of a `kafka://` URL."""
    return urlsplit(url).netloc if "://" in url else url


class Cluster:
    """Administration of one cluster, and one producer for each patience."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.admin = AdminClient(settings(address))
        self._outlets: dict[float, Outlet] = {}

    def outlet(self, patience: float) -> Outlet:
        """Return the producer that gives up after so many seconds."""
        outlet = self._outlets.get(patience)
        if outlet is None or outlet.broken:
            outlet = self._outlets[patience] = Outlet(self.address, patience)
        return outlet

    async def topics(self) -> dict[str, int]:
        """Return the topics and how many partitions each has; raises `Unknown`."""
        try:
            found = await asyncio.to_thread(self.admin.list_topics, timeout=ASK_SECONDS)
        except KafkaException as error:
            raise Unknown("not_connected", f"Kafka does not answer ({name_of(error)})") from error
        return {name: len(each.partitions) for name, each in found.topics.items()}

    async def make(self, topics: Iterable[str]) -> None:
        """Make topics with the broker's defaults; those that are there stay as they are.

        Returns when the broker tells of them: an answer to a request for their making comes before
        it knows their partitions, and who joins in between is a member of nothing. Raises
        `Refusal` or `Unknown`.
        """
        names = list(topics)
        wanted = [NewTopic(each, -1, -1) for each in names]
        for each in (
            self.admin.create_topics(wanted, request_timeout=ASK_SECONDS).values() if wanted else ()
        ):
            try:
                await finished(each)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Refusal(
                        "invalid_topic", f"the topic is not there ({name_of(error)})"
                    ) from error
        deadline = time.monotonic() + ASK_SECONDS
        while not all(map((await self.topics()).get, names)):
            if time.monotonic() > deadline:
                raise Unknown("timeout", "Kafka does not tell of the topics that it has made")
            await asyncio.sleep(PAUSE)

    async def offsets(self, partitions: Sequence[Partition], spec: Any) -> Offsets:
        """Return one offset of each partition; -1 where no record is that young."""
        wanted = {TopicPartition(*each): spec for each in partitions}

        async def ask() -> Offsets:
            found = self.admin.list_offsets(wanted, request_timeout=ASK_SECONDS) if wanted else {}
            return {
                (part.topic, part.partition): (await finished(each)).offset
                for part, each in found.items()
            }

        return await patiently(ask)

    async def ends(self, partitions: Sequence[Partition]) -> Offsets:
        """Return the offset behind the last record of each partition."""
        return await self.offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    async def starts(self, partitions: Sequence[Partition]) -> Offsets:
        """Return the offset of the first record of each partition."""
        return await self.offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    async def place(self, group: str, partitions: Sequence[Partition], start: str) -> None:
        """Give a new group its place in every partition; one that has members keeps its own.

        Stored before anybody joins: a group that begins at the end, and whose first member dies
        before it has handled anything, must not begin at a later end. The administration client
        is not asked for it: it does not live through a coordinator that is still loading.
        """
        clerk = Consumer({**settings(self.address), "group.id": group, "enable.auto.commit": False})
        try:
            known = await asyncio.to_thread(committed, clerk, partitions)
            fresh = [each for each in partitions if each not in known]
            offsets = await (self.starts(fresh) if start == "earliest" else self.ends(fresh))
            places = [TopicPartition(*part, offset) for part, offset in offsets.items()]
            if places:
                await asyncio.to_thread(clerk.commit, offsets=places, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_MEMBER_ID:  # the group has members
                raise trouble(error.args[0]) from error
        finally:
            await asyncio.to_thread(clerk.close)


def committed(consumer: Consumer, partitions: Iterable[Partition]) -> Offsets:
    """Return the places of a consumer's group; a partition in which it has none is left out."""
    found = consumer.committed([TopicPartition(*each) for each in partitions], timeout=ASK_SECONDS)
    return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}


class Outlet:
    """An idempotent producer; whoever sends with it fetches its answers."""

    def __init__(self, address: str, patience: float) -> None:
        self.broken = False
        self._producer = Producer(
            {
                **settings(address),
                "enable.idempotence": True,
                "acks": "all",
                # Without it a producer that is busy sends each record in a request of its own,
                # which costs three times what the record costs.
                "linger.ms": 1,
                "partitioner": "murmur2_random",  # as in Java: one key, one partition, any language
                "message.timeout.ms": int(patience * 1000),
                "message.max.bytes": 4 * 1024 * 1024,  # what is too large is the broker's to say
                "topic.metadata.propagation.max.ms": PROPAGATION_MS,
                "error_cb": self._error,
            }
        )

    def _error(self, error: KafkaError) -> None:
        self.broken = self.broken or error.fatal()

    async def know(self, topic: str) -> bool:
        """Ask whether a topic exists, and let the producer forget what it took it for."""
        try:
            found = await asyncio.to_thread(
                self._producer.list_topics, topic=topic, timeout=ASK_SECONDS
            )
        except KafkaException as error:
            raise Unknown("connection_lost", name_of(error)) from error
        return found.topics[topic].error is None

    def send(
        self,
        topic: str,
        key: str | None,
        headers: Headers,
        payload: bytes,
        answered: Stored,
        answers: Answers,
    ) -> None:
        """Store a record; `answers` tells `answered` its `partition:offset`, or what went wrong.

        Raises `Refusal` or `Unknown` where the record cannot be sent at all.
        """
        delivery = answers.delivery(answered)
        try:
            self._producer.produce(
                topic, value=payload, key=key, headers=headers, on_delivery=delivery
            )
        except KafkaException as error:
            self._producer.poll(0)  # it may be broken for good, and nobody has heard it
            raise trouble(error.args[0]) from error
        except BufferError as error:
            raise Refusal("throttled", "too many records wait to be sent") from error
        answers.expect(self._producer)


@dataclass(eq=False, slots=True)
class Delivery:
    """A record that a producer has, called with what has become of it.

    One object each, and the client's message is let go at once: what is alive longer, or is more
    than one, the collector of garbage looks at again and again.
    """

    brought: deque[Delivery]
    answered: Stored
    answer: str | Exception = ""
    topic: str = ""

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """Take the answer."""
        if error is None:
            self.answer = f"{message.partition()}:{message.offset()}"
        else:
            self.answer, self.topic = trouble(error), message.topic() or ""
        self.brought.append(self)


class Answers:
    """What has become of records, fetched by the event loop that sent them.

    Not by a thread of the client's: at every record it would fight the loop for the interpreter,
    which costs more than the record. Several loops may share a producer; each fetches for all.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        refused: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`refused` is told the topic of each record that the broker has refused."""
        self._loop = loop
        self._refused = refused
        self._brought: deque[Delivery] = deque()
        self._producers: set[Producer] = set()
        self._expected = 0
        self._fetching = False

    def expect(self, producer: Producer) -> None:
        """Take note of a record that was handed to a producer."""
        self._expected += 1
        if not self._fetching:
            self._fetching = True
            self._loop.call_later(FETCH, self._fetch)
        self._producers.add(producer)

    def delivery(self, answered: Stored) -> Delivery:
        """Return what a producer calls with its answer, on whatever loop it is fetched."""
        return Delivery(self._brought, answered)

    def _fetch(self) -> None:
        try:
            for each in self._producers:
                each.poll(0)
            while self._brought:
                self._expected -= 1
                self._pass_on(self._brought.popleft())
        finally:  # whatever one of those who wait does with its answer, the others get theirs
            self._fetching = self._expected > 0
            if self._fetching:
                self._loop.call_later(FETCH, self._fetch)
            else:
                self._producers.clear()

    def _pass_on(self, delivery: Delivery) -> None:
        if isinstance(delivery.answer, Refusal):
            self._refused(delivery.topic)
        delivery.answered(delivery.answer)


_clusters: dict[str, Cluster] = {}


def cluster(address: str) -> Cluster:
    """Return the process's handles on the cluster at an address."""
    if address not in _clusters:
        _clusters[address] = Cluster(address)
    return _clusters[address]


async def finished(future: Future[Any]) -> Any:
    """Wait for an answer of the administration client, which itself gives up in time."""
    return await asyncio.wrap_future(future)


async def patiently(ask: Callable[[], Awaitable[Offsets]]) -> Offsets:
    """Ask until there is an answer: what the client knows of a topic made anew is out of date."""
    deadline = asyncio.get_running_loop().time() + ASK_SECONDS
    while True:
        try:
            return await ask()
        except KafkaException as error:
            if asyncio.get_running_loop().time() > deadline:
                raise trouble(error.args[0]) from error
        await asyncio.sleep(PAUSE)


def name_of(error: KafkaException) -> str:
    """Return the name of what went wrong."""
    return str(error.args[0].name())
