"""Brokers: real ones started and stopped, and raw observers on them. See docs/design.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance.broker import kafka_topics
from ampy_conformance.broker.base import Approach, Broker, Lane, Observer
from ampy_conformance.broker.facts import (
    BrokerError,
    ConsumerState,
    RefusedRecordError,
    WireRecord,
    redact,
)
from ampy_conformance.broker.kafka_broker import EmbeddedKafka, UserKafka
from ampy_conformance.broker.memory_broker import EmbeddedMemory
from ampy_conformance.broker.nats_broker import EmbeddedNats, UserNats
from ampy_conformance.broker.nats_server import ACCOUNTS
from ampy_conformance.broker.reading import read_only
from ampy_conformance.broker.streams import of_contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ampy_conformance.contract import Contract

__all__ = [
    "PROVISIONS",
    "Approach",
    "Broker",
    "BrokerError",
    "ConsumerState",
    "Lane",
    "Observer",
    "RefusedRecordError",
    "WireRecord",
    "provision",
    "read_only",
    "redact",
]


# How an embedded broker may be started.
PROVISIONS = ("process", "docker")


def provision(
    kind: str,
    *,
    domains: Iterable[str],
    url: str | None = None,
    dedicated: bool = False,
    directory: Path | None = None,
    lanes: int = ACCOUNTS,
    contract: Contract | None = None,
    how: str = "process",
    progress: Callable[[int, int], None] | None = None,
) -> Broker:
    """Start a broker of this kind ("nats", "kafka", "memory"), or take the user's at `url`.

    `domains` are those of `contract` (default: the packaged one), whose mapping of this kind names
    the streams or topics. `lanes` is how many are made ready at once where that matters; more are
    added when needed. `how`: as a "process" here, or in "docker" (Kafka). `progress` is told bytes fetched and bytes to fetch, where something is.
    A user's broker is only taken when it is `dedicated` to tests: its streams are made anew.
    BrokerError (nobody answers, no JetStream, no Java, ...) or UsageError, one sentence.
    """
    contract = contract or contracts.load()
    if kind == "kafka":
        topics = kafka_topics.of_contract(domains, contract.envs, contract.kafka)
        if url is not None:
            return UserKafka(topics, url, dedicated=dedicated)
        return EmbeddedKafka(topics, directory, progress, docker=how == "docker")
    if how == "docker":
        raise UsageError(
            "--provision docker is there for Kafka alone: nats-server comes as a package, and the "
            "memory broker is one; leave it out"
        )
    streams = of_contract(domains, contract.nats)
    if kind == "nats":
        if url is not None:
            return UserNats(streams, url, dedicated=dedicated)
        return EmbeddedNats(streams, directory, lanes)
    if kind == "memory":
        if url is not None:
            raise UsageError(
                "this driver works on the memory broker, which the harness starts itself; "
                "leave the broker's URL out"
            )
        return EmbeddedMemory(streams)
    raise UsageError(
        f"the driver asks for a broker of kind {kind!r}; known are nats, kafka and memory"
    )
