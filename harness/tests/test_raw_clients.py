"""The yardstick of the bindings' speed: a raw client that waits for nothing makes nobody look fast."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka import TopicPartition

RECORDS = 600


class Message:
    """A record without trouble."""

    def error(self):
        return None

    def headers(self):
        return [("message_id", b"1")]

    def value(self):
        return b"x"


class Consumer:
    """Has so many records; like the real one it waits for as many as it is asked for."""

    def __init__(self, _settings):
        self.left = RECORDS
        self.commits = []

    def subscribe(self, topics):
        self.topics = topics

    def consume(self, count, timeout):
        assert timeout > 0
        assert count <= self.left, "it would wait a second for records that are not there"
        taken = min(count, self.left, 200)
        self.left -= taken
        return [Message()] * taken

    def assignment(self):
        return [TopicPartition(self.topics[0], 0), TopicPartition(self.topics[0], 1)]

    def position(self, parts):
        return [TopicPartition(parts[0].topic, 0, RECORDS), TopicPartition(parts[1].topic, 1)]

    def commit(self, *, offsets=None, asynchronous):
        self.commits.append((offsets, asynchronous))

    def close(self):
        self.closed = True


def test_the_raw_consumer_waits_for_no_more_than_there_is(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    raw_clients = importlib.import_module("raw_clients")
    made = []
    monkeypatch.setattr(
        raw_clients, "Consumer", lambda settings: made.append(Consumer(settings)) or made[-1]
    )
    client = raw_clients.RawKafka()
    client._address, client._lane = "127.0.0.1:1", SimpleNamespace(group=lambda name: name)
    asyncio.run(client.consume("ampy.dev.bars.v1.>", RECORDS))
    (consumer,) = made
    assert consumer.topics == ["ampy.dev.bars.v1"]
    assert consumer.left == 0
    offsets, asynchronous = consumer.commits[-1]
    assert not asynchronous, "the last commit is waited for"
    assert [(each.partition, each.offset) for each in offsets] == [(0, RECORDS)]
