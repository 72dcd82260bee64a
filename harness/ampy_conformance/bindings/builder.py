"""From a logical record to its envelope: the producer's side of the contract."""

from __future__ import annotations

import base64
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uuid_utils

from ampy_conformance.contract import encoding, keys, payloads, topics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.topics import Topic

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# What a header costs on the wire beside its name and value: a colon, a blank, the end of the line.
AROUND = 4
# Room for the headers that a dead letter adds.
DEAD_ROOM = 4096
TRACE, SPAN = 32, 16  # hexadecimal digits
AT_ONCE = 256  # traces for which randomness is drawn together


class Invalid(Exception):
    """The record cannot be published; `code` is one of the driver protocol's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Identity:
    """Who publishes."""

    name: str
    source: str
    run_id: str


@dataclass(slots=True)
class Outgoing:
    """An envelope ready for the wire."""

    topic: str
    headers: dict[str, str]
    payload: bytes
    message_id: str


class EnvelopeBuilder:
    """Builds envelopes of one producer."""

    def __init__(self, contract: Contract, identity: Identity) -> None:
        self.contract = contract
        self.identity = identity
        self.types = payloads.types(contract)
        self.compress_over = contract.limits["compress_over"]
        self._largest = contract.limits["record_below"] - DEAD_ROOM
        self._second, self._prefix = 0, ""
        self._millisecond, self._now = 0, ""
        self._random, self._drawn = "", 0

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Return the envelope of a logical record, or raise `Invalid`.

        The payload is bytes, or their base64 as the driver protocol has it.
        """
        topic = self.topic(record["topic"])
        body = record["payload"]
        if not isinstance(body, bytes):
            body = base64.b64decode(body, validate=True)
        schema = record["schema_fqdn"]
        self.check_payload(topic, schema, body)
        wire, encoded = self.encode(body)
        message_id = self.message_id()
        trace, span = self.trace(record.get("trace"))
        identity = self.identity
        headers = {
            "message_id": message_id,
            "schema_fqdn": schema,
            "schema_version": record.get("schema_version") or f"{topic.version[1:]}.0.0",
            "content_type": "application/x-protobuf",
            "produced_at": self.produced_at(),
            "producer": identity.name,
            "source": identity.source,
            "run_id": identity.run_id,
            "trace_id": trace,
            "span_id": span,
            "traceparent": f"00-{trace}-{span}-01",
            "partition_key": self.partition_key(topic, record["key"]),
        }
        if encoded:
            headers["content_encoding"] = "gzip"
        if record.get("dedupe_key"):
            headers["dedupe_key"] = record["dedupe_key"]
        if record.get("headers"):
            headers = {**record["headers"], **headers}
        self.check(headers, wire)
        return Outgoing(topic.text, headers, wire, message_id)

    def topic(self, text: str) -> Topic:
        """Accept a concrete topic only (TOP-01 to TOP-05, TOP-17)."""
        try:
            return topics.parse(self.contract, text)
        except topics.TopicError as error:
            raise Invalid("invalid_topic", str(error)) from error

    def check_payload(self, topic: Topic, schema: str, body: bytes) -> None:
        """Accept only a payload of the topic's domain that parses (TOP-19, HDR-05, SER-01)."""
        try:
            home = self.types.domain_of.get(schema)
            if home is None or home.name != topic.domain:
                raise Invalid("invalid_record", f"{schema} is no payload of {topic.domain}")
            self.types.decode(schema, body)
        except payloads.DecodeError as error:
            raise Invalid("invalid_record", str(error)) from error

    def encode(self, body: bytes) -> tuple[bytes, bool]:
        """Compress above 128 KiB (SER-04); returns the wire bytes and whether they are gzip."""
        if len(body) > self.compress_over:
            return encoding.compress(body), True
        return body, False

    def message_id(self) -> str:
        """Return a new UUID of version 7, in lower case (HDR-01, HDR-03)."""
        return str(uuid_utils.uuid7())

    def produced_at(self) -> str:
        """Return the present in UTC with milliseconds (HDR-10)."""
        millisecond = time.time_ns() // 1_000_000
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._now = f"{self._prefix}.{rest:03d}Z"
        return self._now

    def trace(self, active: Mapping[str, str] | None) -> tuple[str, str]:
        """Return trace and span: the active ones, or new ones (HDR-15, HDR-16)."""
        if active:
            return active["trace_id"], active["span_id"]
        at = self._drawn
        if at >= len(self._random):  # the system is asked once for many traces
            self._random, at = os.urandom(AT_ONCE * (TRACE + SPAN) // 2).hex(), 0
        self._drawn = at + TRACE + SPAN
        return self._random[at : at + TRACE], self._random[at + TRACE : at + TRACE + SPAN]

    def partition_key(self, topic: Topic, parts: Mapping[str, str]) -> str:
        """Return the domain's key for the entity (section 7)."""
        try:
            return keys.from_parts(self.contract, topic.domain, parts)
        except keys.MissingPart as error:
            raise Invalid("invalid_record", str(error)) from error

    def check(self, headers: Mapping[str, str], wire: bytes) -> None:
        """Refuse what could end a header and begin another, and a record that is too large."""
        text = "".join([*headers, *headers.values()])
        # Printable text holds no control characters, and that is told at the speed of C.
        if not text.isprintable():
            self.check_headers(headers)
        size = len(wire) + len(headers) * AROUND
        size += len(text) if text.isascii() else len(text.encode())
        if size >= self._largest:  # 1 MiB: this binding has no blob store (SER-07)
            raise Invalid("too_large", f"the record has {size} bytes")

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Refuse control characters, and name the header that holds one."""
        for name, value in headers.items():
            if CONTROL.search(name) or CONTROL.search(value):
                raise Invalid(
                    "invalid_record", f"the header {name[:40]!r} holds control characters"
                )
