"""The Kafka mapping (BND-05 to BND-08)."""

from __future__ import annotations

from collections import defaultdict

import pytest


def placed(wire):
    """Return the Kafka topic and the partition of a stored record."""
    topic, _, partition = wire.stream.rpartition("/")
    return topic, partition


@pytest.mark.clause("BND-05")
def test_the_kafka_topic_is_the_short_or_the_whole_topic(lab, gallery):
    """Each record lies on `ampy.{env}.{domain}.{version}` or on its whole topic, which can be told (A-51)."""
    lab.control(gallery.rows, "no record of the gallery reached the wire")
    for _, each, wire in gallery.rows:
        topic, _ = placed(wire)
        whole = each.sample.topic
        short = ".".join(whole.split(".")[:4])
        lab.true(
            "BND-05",
            topic in (short, whole),
            f"a record of {each.sample.domain} lies on a Kafka topic that nobody expects",
            expected=short,
            seen=topic,
        )
        lab.equal(
            "BND-05", whole, wire.topic, f"the topic of a record of {each.sample.domain} is lost"
        )


@pytest.mark.clause("BND-06")
def test_the_kafka_key_is_the_partition_key(lab, gallery):
    """Each record's Kafka key is its partition_key; one key of a topic has one partition."""
    lab.control(gallery.rows, "no record of the gallery reached the wire")
    homes = defaultdict(set)
    for _, each, wire in gallery.rows:
        key = wire.header("partition_key")
        lab.true(
            "BND-06",
            key and wire.key == key.encode(),
            f"the Kafka key of a record of {each.sample.domain} is not its partition_key",
            expected=key,
            seen=wire.key and wire.key.decode("utf-8", "backslashreplace"),
        )
        topic, partition = placed(wire)
        homes[topic, key].add(partition)
    split = sorted(f"{topic} {key}" for (topic, key), each in homes.items() if len(each) > 1)
    lab.equal("BND-06", [], split, "records of one key lie in several partitions")


@pytest.mark.clause("BND-07")
def test_headers_are_record_headers(lab, gallery):
    """The envelope's headers travel as record headers, each once, under its own name."""
    lab.control(gallery.rows, "no record of the gallery reached the wire")
    for _, each, wire in gallery.rows:
        names = [name for name, _ in wire.headers]
        missing = sorted(set(lab.required_headers()) - set(names))
        lab.equal("BND-07", [], missing, f"{each.sample.domain} lacks record headers")
        twice = sorted({name for name in names if names.count(name) > 1})
        lab.equal("BND-07", [], twice, f"record headers of {each.sample.domain} stand twice")


@pytest.mark.clause("BND-08")
def test_the_consumer_group_keeps_offsets_and_lag(lab):
    """A group is a consumer group of Kafka: its offsets follow the handler's verdicts, and so does its lag."""
    bus = lab.bus()
    wanted = lab.series(5)
    held = lab.sample("bars")
    subscription = bus.subscribe("ampy.dev.bars.v1.>", handler=lab.hanging_on(held))
    lab.publish(bus, *wanted)
    lab.deliver_control(subscription, *wanted)

    names = {each.name for each in lab.wire.consumers()}
    lab.true("BND-08", names, "Kafka knows no consumer group of the binding", seen=sorted(names))
    lab.must("BND-08", lab.acknowledged(5), "the group's offsets do not follow the handler")
    lab.equal("BND-08", 0, lab.unacknowledged(), "the group's lag is not zero when all is handled")

    lab.publish(bus, held)
    lab.covered(lab.delivered(subscription, held), "the record was not delivered")
    lab.equal("BND-08", 1, lab.unacknowledged(), "the lag does not count a record in work")
    for each in subscription.hanging():
        subscription.settle(each, "ack")
    lab.must(
        "BND-08",
        lab.wire.wait_until(lambda: lab.unacknowledged() == 0, lab.patience(6.0)),
        "the lag stays when all is handled",
    )
