"""How records travel on Kafka (section 15.2): topics, keys, headers, both ways."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Message

    from ampy_conformance.bindings.kafka_cluster import Headers


# As `spec/kafka.yaml` names it: the Kafka topic is only the beginning of the logical one.
TOPIC_HEADER = "topic"
DEAD = "dlq"
TOKENS = 4  # ampy.{env}.{domain}.{version}


@functools.lru_cache(maxsize=65536)
def short(topic: str) -> str:
    """Return the Kafka topic of a logical topic or pattern."""
    return ".".join(topic.split(".")[:TOKENS])


def exact(pattern: str) -> bool:
    """Tell whether all that a pattern matches is in one Kafka topic."""
    tokens = pattern.split(".")[:TOKENS]
    return len(tokens) == TOKENS and not {"*", ">"} & set(tokens)


def may_hold(pattern: str, name: str) -> bool:
    """Tell whether a Kafka topic can hold records of a pattern; long names are topics in full.

    Dead letters come to those only who name their domain (A-67).
    """
    wanted, tokens = pattern.split("."), name.split(".")
    if tokens[2:3] == [DEAD] and wanted[2:3] != [DEAD]:
        return False
    for want, token in zip(wanted, tokens, strict=False):
        if want == ">":
            return True
        if want not in ("*", token):
            return False
    return TOKENS <= len(tokens) <= len(wanted)


def headers_of(topic: str, headers: Mapping[str, str]) -> Headers:
    """Return the record headers: the envelope's as they are, and the topic in full."""
    return {**headers, TOPIC_HEADER: topic}


def record_of(message: Message, token: Any = None) -> Record:
    """Return the record in a Kafka message; one that does not name its topic is on Kafka's."""
    pairs: Any = message.headers() or ()  # a list of name and bytes, or of name and None
    try:
        headers = {name: value.decode() for name, value in pairs}
    except (AttributeError, UnicodeDecodeError):  # no value, or no text: seldom
        headers = {name: str(value or b"", "utf-8", "replace") for name, value in pairs}
    name = message.topic() or ""
    return Record(
        position=f"{message.partition()}:{message.offset()}",
        topic=headers.pop(TOPIC_HEADER, name),
        headers=headers,
        payload=message.value() or b"",
        token=token,
        log=name,
    )
