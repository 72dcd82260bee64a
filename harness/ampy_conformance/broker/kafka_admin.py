"""What the suite asks of a Kafka broker: topics, offsets, groups, raw records. Plain functions."""

from __future__ import annotations

import struct
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker.facts import BrokerError
from ampy_conformance.broker.kafka_wire import (
    KafkaRefusedError,
    accept,
    error_name,
    protocol,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from ampy_conformance.broker.kafka_wire import KafkaLink

EARLIEST, LATEST = -2, -1
TOPIC_EXISTS = 36
UNKNOWN_TOPIC = 3
LEADER_NOT_AVAILABLE = 5
NOT_LEADER = 6
CORRUPT_MESSAGE = 2
OFFSET_OUT_OF_RANGE = 1
COORDINATOR_LOADING, COORDINATOR_AWAY, NOT_COORDINATOR = 14, 15, 16
GROUP_NOT_FOUND = 69
TOPIC_RESOURCE = 2
SET, DELETE = 0, 1
FETCH_BYTES = 33554432
# A topic's partitions have their leaders some 100 ms after it was made.
LEADER_SECONDS, LEADER_PAUSE = 5.0, 0.02
# Where the CRC of a record batch stands.
CRC_AT = struct.calcsize(">qiib")
CONTROL_BATCH = 0x20

Partition = tuple[str, int]


@dataclass(frozen=True)
class RawRecord:
    """One record of a log: where it is, and its bytes; None stands for Kafka's null."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Page:
    """What a fetch brought of one partition: records, where to go on, and the end of the log."""

    records: tuple[RawRecord, ...]
    following: int
    end: int


@dataclass(frozen=True)
class Group:
    """A consumer group: its name, and the partitions that its members have been given."""

    name: str
    assigned: frozenset[Partition]


def topics(link: KafkaLink) -> dict[str, int]:
    """Return every topic that is not internal, with its number of partitions."""
    request = protocol().metadata.MetadataRequest(topics=None, allow_auto_topic_creation=False)
    found = link.call(request, 12)
    return {
        each.name: len(each.partitions)
        for each in found.topics
        if not each.is_internal and not each.error_code
    }


def create_topics(link: KafkaLink, names: Iterable[str], partitions: int) -> None:
    """Make topics; one that is there already is no error. Returns when they can be written."""
    make = protocol().admin.CreateTopicsRequest
    wanted = sorted(names)
    request = make(
        topics=[
            make.CreatableTopic(
                name=each,
                num_partitions=partitions,
                replication_factor=1,
                assignments=[],
                configs=[],
            )
            for each in wanted
        ],
        timeout_ms=30000,
        validate_only=False,
    )
    fresh = [
        each.name
        for each in link.call(request, 7, 30.0).topics
        if not accept(each.error_code, TOPIC_EXISTS, said=each.error_message)
    ]
    wait_served(link, fresh, partitions)


def delete_topics(link: KafkaLink, names: Iterable[str]) -> None:
    """Delete topics; one that is not there is no error."""
    make = protocol().admin.DeleteTopicsRequest
    request = make(topic_names=sorted(names), timeout_ms=30000)
    for each in link.call(request, 5, 30.0).responses:
        accept(each.error_code, UNKNOWN_TOPIC, said=each.error_message)


def wait_served(link: KafkaLink, wanted: Iterable[str], partitions: int) -> None:
    """Wait until every partition of the topics has a leader that serves it."""
    names = list(wanted)
    _until(lambda: served(link, names, partitions), "nobody leads the topics that Kafka has")


def served(link: KafkaLink, wanted: Iterable[str], partitions: int) -> bool:
    """Tell whether every partition of the topics has a leader that serves it."""
    places = [(name, number) for name in wanted for number in range(partitions)]
    try:
        return len(offsets(link, places, LATEST)) == len(places)
    except KafkaRefusedError as error:
        if error.code not in (UNKNOWN_TOPIC, NOT_LEADER, LEADER_NOT_AVAILABLE):
            raise
        return False


def _until(holds: Any, says: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise BrokerError(says)
        time.sleep(0.01)


def offsets(link: KafkaLink, partitions: Collection[Partition], at: int) -> dict[Partition, int]:
    """Return the first (EARLIEST) or the next (LATEST) offset of partitions.

    A partition that was made a moment ago has no leader yet; it is waited for.
    """
    if not partitions:
        return {}
    deadline = time.monotonic() + LEADER_SECONDS
    while True:
        try:
            return _offsets(link, partitions, at)
        except KafkaRefusedError as error:
            if error.code != NOT_LEADER or time.monotonic() > deadline:
                raise
        time.sleep(LEADER_PAUSE)


def _offsets(link: KafkaLink, partitions: Collection[Partition], at: int) -> dict[Partition, int]:
    make = protocol().consumer.ListOffsetsRequest
    request = make(
        replica_id=-1,
        isolation_level=0,
        topics=[
            make.ListOffsetsTopic(
                name=topic,
                partitions=[
                    make.ListOffsetsTopic.ListOffsetsPartition(partition_index=each, timestamp=at)
                    for each in numbers
                ],
            )
            for topic, numbers in _by_topic(partitions).items()
        ],
    )
    return {
        (topic.name, each.partition_index): each.offset
        for topic in link.call(request, 7).topics
        for each in topic.partitions
        if not accept(each.error_code)
    }


def delete_records(link: KafkaLink, before: Mapping[Partition, int]) -> None:
    """Let partitions begin at these offsets."""
    make = protocol().admin.DeleteRecordsRequest
    request = make(
        topics=[
            make.DeleteRecordsTopic(
                name=topic,
                partitions=[
                    make.DeleteRecordsTopic.DeleteRecordsPartition(
                        partition_index=each, offset=before[topic, each]
                    )
                    for each in numbers
                ],
            )
            for topic, numbers in _by_topic(before).items()
        ],
        timeout_ms=10000,
    )
    for topic in link.call(request, 2, 15.0).topics:
        for each in topic.partitions:
            accept(each.error_code)


def warm_up(link: KafkaLink) -> None:
    """Let the broker make what it makes when it is first asked: producer ids, groups' offsets."""
    messages = protocol()
    _until(
        lambda: (
            not link.call(
                messages.producer.InitProducerIdRequest(
                    transactional_id=None,
                    transaction_timeout_ms=1000,
                    producer_id=-1,
                    producer_epoch=-1,
                ),
                4,
            ).error_code
        ),
        "Kafka hands out no producer ids",
    )
    find = messages.metadata.FindCoordinatorRequest(key_type=0, coordinator_keys=["ampy-conform"])
    _until(
        lambda: not any(each.error_code for each in link.call(find, 4).coordinators),
        "Kafka has no coordinator for consumer groups",
    )

    def answers() -> bool:
        try:
            committed(link, ["ampy-conform"])
        except KafkaRefusedError as error:
            if error.code not in (COORDINATOR_LOADING, COORDINATOR_AWAY, NOT_COORDINATOR):
                raise
            return False
        return True

    _until(answers, "Kafka's coordinator of consumer groups does not come up")


def configure(link: KafkaLink, names: Iterable[str], settings: Mapping[str, str | None]) -> None:
    """Set (or, with None, unset) settings of topics."""
    make = protocol().admin.IncrementalAlterConfigsRequest
    resource = make.AlterConfigsResource
    request = make(
        resources=[
            resource(
                resource_type=TOPIC_RESOURCE,
                resource_name=name,
                configs=[
                    resource.AlterableConfig(
                        name=key, config_operation=DELETE if value is None else SET, value=value
                    )
                    for key, value in settings.items()
                ],
            )
            for name in sorted(names)
        ],
        validate_only=False,
    )
    for each in link.call(request, 1, 15.0).responses:
        accept(each.error_code, said=each.error_message)


def produce(
    link: KafkaLink, batches: Mapping[Partition, bytes | bytearray], *, once: bool = True
) -> dict[Partition, tuple[int, int]]:
    """Write one record batch a partition, acknowledged by all replicas.

    Returns error code and base offset of each. KafkaUnreachableError: the outcome is unknown.
    """
    make = protocol().producer.ProduceRequest
    request = make(
        transactional_id=None,
        acks=-1,
        timeout_ms=5000,
        topic_data=[
            make.TopicProduceData(
                name=topic,
                partition_data=[
                    make.TopicProduceData.PartitionProduceData(
                        index=each, records=batches[topic, each]
                    )
                    for each in numbers
                ],
            )
            for topic, numbers in _by_topic(batches).items()
        ],
    )
    answer = link.call_once(request, 9) if once else link.call(request, 9)
    return {
        (topic.name, each.index): (each.error_code, each.base_offset)
        for topic in answer.responses
        for each in topic.partition_responses
    }


def batch(records: Sequence[tuple[bytes | None, bytes, Sequence[tuple[str, bytes]]]]) -> bytearray:
    """Return a record batch (format 2, not compressed) of (key, value, headers)."""
    from kafka.record import memory_records  # noqa: PLC0415 (an extra)

    codec: Any = memory_records
    builder = codec.MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=2**31 - 1)
    now = int(time.time() * 1000)
    for key, value, headers in records:
        builder.append(now, key, value, list(headers))
    builder.close()
    return bytearray(builder.buffer())


def refusal(link: KafkaLink, partitions: Collection[Partition]) -> dict[Partition, str]:
    """Return why each partition would refuse a record now; empty text where it would not.

    Asks with a batch whose checksum is wrong: refused in any case, but for that reason only where
    there is no other. Nothing is ever stored.
    """
    broken = batch([(None, b"probe", [])])
    broken[CRC_AT] ^= 0xFF
    found = produce(link, dict.fromkeys(partitions, broken), once=False)
    return {
        each: "" if code == CORRUPT_MESSAGE else error_name(code)
        for each, (code, _) in found.items()
    }


def fetch(
    link: KafkaLink, places: Mapping[Partition, int], wait: float = 0.0
) -> dict[Partition, Page]:
    """Read partitions from these offsets on, up to 32 MiB; waits up to `wait` s for anything."""
    make = protocol().consumer.FetchRequest
    request = make(
        replica_id=-1,
        max_wait_ms=int(wait * 1000),
        min_bytes=1,
        max_bytes=FETCH_BYTES,
        isolation_level=0,
        session_id=0,
        session_epoch=-1,
        topics=[
            make.FetchTopic(
                topic=topic,
                partitions=[
                    make.FetchTopic.FetchPartition(
                        partition=each,
                        fetch_offset=places[topic, each],
                        partition_max_bytes=FETCH_BYTES,
                    )
                    for each in numbers
                ],
            )
            for topic, numbers in _by_topic(places).items()
        ],
        forgotten_topics_data=[],
        rack_id="",
    )
    answer = link.call(request, 12, wait + 5.0)
    accept(answer.error_code)
    found = {}
    for topic in answer.responses:
        for each in topic.partitions:
            if accept(each.error_code, UNKNOWN_TOPIC, NOT_LEADER, OFFSET_OUT_OF_RANGE):
                continue
            place = (topic.topic, each.partition_index)
            found[place] = _page(place, places[place], each)
    return found


def _page(place: Partition, start: int, answer: Any) -> Page:
    records, following = [], start
    for each, last in _decoded(place, answer.records):
        following = max(following, last + 1)
        if each is not None and each.offset >= start:
            records.append(each)
    return Page(tuple(records), following, answer.high_watermark)


def _decoded(place: Partition, data: Any) -> Iterator[tuple[RawRecord | None, int]]:
    """Yield the records of a fetch with the last offset of their batch; control batches as None."""
    from kafka.errors import KafkaError  # noqa: PLC0415 (an extra)
    from kafka.record import memory_records  # noqa: PLC0415

    if not data:
        return
    codec: Any = memory_records
    batches = codec.MemoryRecords(bytes(data))
    try:
        while batches.has_next():
            one = batches.next_batch()
            last = one.base_offset + one.last_offset_delta
            if one.attributes & CONTROL_BATCH:
                yield None, last
                continue
            for each in one:
                yield RawRecord(place, each.offset, each.key, each.value, tuple(each.headers)), last
    except KafkaError as error:
        raise BrokerError(
            f"records of {place[0]} cannot be read raw ({type(error).__name__}: {error})"
        ) from error


def records_of(place: Partition, data: Any) -> Iterator[RawRecord]:
    """Yield the records of record batches on their way; their offsets mean nothing yet."""
    for each, _ in _decoded(place, data):
        if each is not None:
            yield each


def topic_ids(link: KafkaLink) -> dict[UUID, str]:
    """Return every topic by its id."""
    request = protocol().metadata.MetadataRequest(topics=None, allow_auto_topic_creation=False)
    return {each.topic_id: each.name for each in link.call(request, 12).topics if each.name}


def group_names(link: KafkaLink) -> dict[str, str]:
    """Return the consumer groups of the broker by name, each with its type (consumer, classic)."""
    request = protocol().admin.ListGroupsRequest(states_filter=[], types_filter=[])
    answer = link.call(request, 5)
    accept(answer.error_code)
    return {
        each.group_id: each.group_type.lower()
        for each in answer.groups
        if each.protocol_type in ("consumer", "")
    }


def groups(link: KafkaLink, names: Mapping[str, str]) -> list[Group]:
    """Return the assignments of groups, given by name and type."""
    modern = [each for each, kind in names.items() if kind == "consumer"]
    classic = [each for each, kind in names.items() if kind != "consumer"]
    return [*_modern(link, modern), *_classic(link, classic)]


def _modern(link: KafkaLink, names: Sequence[str]) -> Iterator[Group]:
    from ampy_conformance.broker import kafka_messages  # noqa: PLC0415 (needs the extra)

    if not names:
        return
    messages: Any = kafka_messages
    request = messages.ConsumerGroupDescribeRequest(
        group_ids=list(names), include_authorized_operations=False
    )
    for each in link.call(request, 0).groups:
        accept(each.error_code, GROUP_NOT_FOUND)
        yield Group(
            each.group_id,
            frozenset(
                (topic.topic_name, number)
                for member in each.members
                for topic in member.assignment.topic_partitions
                for number in topic.partitions
            ),
        )


def _classic(link: KafkaLink, names: Sequence[str]) -> Iterator[Group]:
    if not names:
        return
    messages = protocol()
    request = messages.admin.DescribeGroupsRequest(groups=list(names))
    for each in link.call(request, 5).groups:
        accept(each.error_code, GROUP_NOT_FOUND)
        assigned: set[Partition] = set()
        for member in each.members:
            if member.member_assignment:
                told = messages.consumer.metadata.ConsumerProtocolAssignment.decode(
                    member.member_assignment
                )
                for topic in told.assigned_partitions:
                    assigned.update((topic.topic, number) for number in topic.partitions)
        yield Group(each.group_id, frozenset(assigned))


def committed(link: KafkaLink, names: Iterable[str]) -> dict[str, dict[Partition, int]]:
    """Return the committed offsets of groups, where they have any."""
    wanted = sorted(names)
    if not wanted:
        return {}
    make = protocol().consumer.OffsetFetchRequest
    request = make(
        groups=[make.OffsetFetchRequestGroup(group_id=each, topics=None) for each in wanted],
        require_stable=False,
    )
    found: dict[str, dict[Partition, int]] = defaultdict(dict)
    for group in link.call(request, 8).groups:
        accept(group.error_code, GROUP_NOT_FOUND)
        for topic in group.topics or ():
            for each in topic.partitions:
                if not each.error_code and each.committed_offset >= 0:
                    found[group.group_id][topic.name, each.partition_index] = each.committed_offset
    return dict(found)


def _by_topic(partitions: Iterable[Partition]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for topic, number in partitions:
        found[topic].append(number)
    return dict(found)
