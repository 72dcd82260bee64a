"""Reading a user's own stream: read-only, bounded in count and time."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.broker import jetstream, subjects
from ampy_conformance.broker.facts import BrokerError, WireRecord, redact
from ampy_conformance.broker.nats_message import Message, parse_headers
from ampy_conformance.broker.nats_wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 500
# What is under way at once; a record of a broker with a huge max_payload comes alone.
BATCH_BYTES = 33554432
END_OF_STREAM = "404"
# The server forgets the reading position this long after we are gone.
INACTIVE_NS = 10_000_000_000
WHOLE_SECONDS = 600.0


def read_only(url: str, subject: str, max_count: int, max_seconds: float) -> Iterator[WireRecord]:
    """Yield what the streams at `url` hold for `subject`, each stream from its start.

    Ends at the end of the streams, after `max_count` records or after `max_seconds`. Nothing
    is published, acknowledged or made durable: the reading position is an ephemeral consumer
    in the server's memory, deleted at the end, without acknowledgements.
    BrokerError where nobody answers; UsageError where no stream carries the subject.
    """
    deadline = time.monotonic() + max_seconds
    link = Connection(url)
    try:
        streams = _carrying(link, subject)
        if not streams:
            raise UsageError(
                f"no stream on {redact(url)} carries the subject {subject}; "
                "check the subject, and the account of the credentials"
            )
        left = max_count
        for stream in streams:
            for record in _records(link, stream, subject, deadline, left):
                yield record
                left -= 1
            if left <= 0 or time.monotonic() >= deadline:
                return
    finally:
        link.close()


def whole(link: Connection, stream: str, subject: str) -> Iterator[WireRecord]:
    """Yield what a stream holds for `subject`; BrokerError where its end is not reached."""
    deadline = time.monotonic() + WHOLE_SECONDS
    yield from _records(link, stream, subject, deadline, sys.maxsize)
    if time.monotonic() >= deadline:
        raise BrokerError(f"stream {stream} could not be read within {WHOLE_SECONDS:g} s")


def _carrying(link: Connection, subject: str) -> list[str]:
    """Return the names of the streams that take subjects which `subject` covers."""
    return [
        each["config"]["name"]
        for each in jetstream.paged(link, "STREAM.LIST", "streams")
        if any(subjects.overlap(subject, own) for own in each["config"].get("subjects") or ())
    ]


def _records(
    link: Connection, stream: str, subject: str, deadline: float, most: int
) -> Iterator[WireRecord]:
    name = f"reader-{secrets.token_hex(6)}"
    config: dict[str, Any] = {
        "name": name,
        "deliver_policy": "all",
        "ack_policy": "none",
        "filter_subject": subject,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": INACTIVE_NS,
    }
    body = {"stream_name": stream, "config": config, "action": "create"}
    jetstream.call(link, f"CONSUMER.CREATE.{stream}.{name}.{subject}", body)
    try:
        yield from _batches(link, stream, name, deadline, most)
    finally:
        # Where we may not delete it, the server does so when it has been idle.
        with contextlib.suppress(BrokerError):
            jetstream.call(link, f"CONSUMER.DELETE.{stream}.{name}", timeout=1.0)


def _batches(
    link: Connection, stream: str, name: str, deadline: float, most: int
) -> Iterator[WireRecord]:
    limit: dict[str, int] = {"batch": BATCH, "max_bytes": BATCH_BYTES}
    while most > 0 and (seconds := deadline - time.monotonic()) > 0:
        limit["batch"] = min(limit["batch"], most)
        request = json.dumps({**limit, "no_wait": True}).encode()
        subject, got, status = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", 0, ""
        for message in link.collect(subject, request, limit["batch"], min(seconds, 5.0)):
            status = message.status
            if not status:
                got += 1
                most -= 1
                yield _record(stream, message)
        if status == END_OF_STREAM:
            return
        if got == 0 and time.monotonic() < deadline:
            if "max_bytes" not in limit:
                raise BrokerError(f"stream {stream} stopped answering while it was read; try again")
            limit = {"batch": 1}


def _record(stream: str, message: Message) -> WireRecord:
    """Make a record of a delivery; its reply subject tells position and time.

    `$JS.ACK.stream.consumer.delivered.sequence.consumer_sequence.time.pending`, with domain and
    account hash before the stream in the longer form.
    """
    tokens = message.reply.split(".")
    place = 2 if len(tokens) == 9 else 4
    if len(tokens) < 9:
        raise BrokerError("the broker delivers without positions; is it JetStream?")
    return WireRecord(
        topic=message.subject,
        headers=parse_headers(message.block),
        payload=message.payload,
        position=tokens[place + 3],
        stream=stream,
        t_ns=int(tokens[place + 5]),
    )
