"""JetStream's JSON interface over a raw connection: streams, stored records, consumers."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker.facts import BrokerError, ConsumerState, WireRecord
from ampy_conformance.broker.nats_message import parse_headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.broker.nats_message import Message
    from ampy_conformance.broker.nats_wire import Connection

NO_RESPONDERS = "503"
STREAM_NOT_FOUND = 10059
MESSAGE_NOT_FOUND = 10037
OVERLAP = 10065
BATCH = 256


class JetStreamError(BrokerError):
    """JetStream answered with an error; `code` is its err_code."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"JetStream refuses: {said} ({code})")
        self.code = code


def answer(message: Message) -> dict[str, Any]:
    """Return the JSON of an answer. JetStreamError; BrokerError where JetStream is off."""
    if message.status == NO_RESPONDERS:
        raise BrokerError("JetStream does not answer on this account; start the server with -js")
    found: dict[str, Any] = json.loads(message.payload)
    if "error" in found:
        error = found["error"]
        raise JetStreamError(
            error.get("err_code", error.get("code", 0)), error.get("description", "?")
        )
    return found


def call(
    link: Connection, api: str, body: dict[str, Any] | None = None, timeout: float = 5.0
) -> dict[str, Any]:
    """Carry out one request that may safely happen twice."""
    data = b"" if body is None else json.dumps(body).encode()
    return answer(link.request(f"$JS.API.{api}", data, timeout=timeout))


def paged(link: Connection, api: str, field: str) -> Iterator[Any]:
    """Yield the items of a listing, page after page."""
    offset = 0
    while True:
        page = call(link, api, {"offset": offset})
        items = page.get(field) or []
        yield from items
        offset += len(items)
        if not items or offset >= page.get("total", 0):
            return


def stream_config(name: str, patterns: list[str], **changes: Any) -> dict[str, Any]:
    """Return the settings of a lane's stream, each set, none inherited.

    `discard: new` is without effect until a limit is set; it makes a full stream refuse.
    """
    return {
        "name": name,
        "subjects": patterns,
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_bytes": -1,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "max_age": 0,
        "max_consumers": -1,
        "num_replicas": 1,
        "duplicate_window": 120_000_000_000,
        **changes,
    }


def drop_stream(link: Connection, name: str) -> None:
    """Delete a stream with its consumers; one that is not there is no error."""
    try:
        call(link, f"STREAM.DELETE.{name}")
    except JetStreamError as error:
        if error.code != STREAM_NOT_FOUND:
            raise


def stored(link: Connection, stream: str, first: int, last: int) -> Iterator[WireRecord]:
    """Yield the records of a stream from sequence `first` to `last`, byte for byte."""
    for start in range(first, last + 1, BATCH):
        numbers = range(start, min(start + BATCH, last + 1))
        body = [json.dumps({"seq": each}).encode() for each in numbers]
        asked = [link.ask(f"$JS.API.STREAM.MSG.GET.{stream}", each) for each in body]
        for each in asked:
            try:
                yield _record(stream, answer(link.result(each))["message"])
            except JetStreamError as error:
                if error.code != MESSAGE_NOT_FOUND:
                    raise


def _record(stream: str, message: dict[str, Any]) -> WireRecord:
    return WireRecord(
        topic=message["subject"],
        headers=parse_headers(base64.b64decode(message.get("hdrs", ""))),
        payload=base64.b64decode(message.get("data", "")),
        position=str(message["seq"]),
        stream=stream,
        t_ns=nanoseconds(message["time"]),
    )


def nanoseconds(text: str) -> int:
    """Return a JetStream time (RFC 3339, up to nine digits, UTC) as nanoseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)


def consumer_states(link: Connection, stream: str) -> Iterator[ConsumerState]:
    """Yield the consumers of a stream."""
    for each in paged(link, f"CONSUMER.LIST.{stream}", "consumers"):
        config = each["config"]
        filters = config.get("filter_subjects") or [config.get("filter_subject")]
        yield ConsumerState(
            stream=stream,
            name=each["name"],
            durable=bool(config.get("durable_name")),
            pending=each["num_pending"],
            pending_acks=each["num_ack_pending"],
            delivered=each["delivered"]["stream_seq"],
            ack_floor=each["ack_floor"]["stream_seq"],
            redelivered=each.get("num_redelivered", 0),
            settled=each["ack_floor"]["stream_seq"],
            patterns=tuple(pattern for pattern in filters if pattern),
        )
