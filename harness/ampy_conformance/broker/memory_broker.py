"""The memory broker as the suite sees it: its process, its lanes, its raw observer."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ampy_conformance import __version__, _process
from ampy_conformance.broker.base import Broker, Lane, Observer
from ampy_conformance.broker.facts import (
    BrokerError,
    ConsumerState,
    RefusedRecordError,
    WireRecord,
)
from ampy_conformance.broker.memory_client import MemoryConnection, MemoryRefusedError
from ampy_conformance.broker.starter import start_long_lived

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ampy_conformance.broker.base import Record
    from ampy_conformance.broker.streams import Streams

READ_AT_ONCE = 1000


class MemoryObserver(Observer):
    """The raw observer of a lane of the memory broker."""

    def __init__(self, port: int, lane: str, token: str, streams: Streams) -> None:
        super().__init__()
        self._streams = streams
        self._link = MemoryConnection(port, self._event)
        for op, fields in (("hello", {"lane": lane, "token": token}), ("tap", {}), ("watch", {})):
            self._link.request(op, **fields)

    def _event(self, frame: dict[str, Any]) -> None:
        self._notify(_record(frame, "") if frame["event"] == "tap" else None)

    def records(self, pattern: str = ">") -> list[WireRecord]:
        """Return what the streams hold."""
        return list(self.scan(pattern))

    def scan(self, pattern: str) -> Iterator[WireRecord]:
        """Yield what the streams hold on topics of a pattern."""
        for stream in self._streams.patterns:
            after, last = "0", ""
            while after != last:
                page = self._link.request("read", stream=stream, after=after, max=READ_AT_ONCE)
                yield from self._chosen((_record(e, stream) for e in page["records"]), pattern)
                last = page["last"]
                after = page["records"][-1]["position"] if page["records"] else last

    def ends(self) -> Mapping[str, int]:
        """Return the position that the next record of each stream will have."""
        return {
            each: int(self._link.request("read", stream=each, after="0", max=0)["last"]) + 1
            for each in self._streams.patterns
        }

    def consumers(self) -> list[ConsumerState]:
        """Return the groups of the lane; all are durable."""
        return [
            ConsumerState(
                stream=each["stream"],
                name=each["group"],
                durable=True,
                pending=each["pending"],
                pending_acks=each["pending_acks"],
                delivered=each["delivered"],
                ack_floor=each["ack_floor"],
                redelivered=each["redelivered"],
                settled=each["ack_floor"],
                patterns=tuple(each["patterns"]),
            )
            for each in self._link.request("groups")["groups"]
        ]

    def publish_many(self, records: Iterable[Record]) -> list[str]:
        """Store raw records."""
        asked = [
            self._link.ask(
                "publish",
                topic=topic,
                headers=list(headers.items() if isinstance(headers, Mapping) else headers),
                payload=base64.b64encode(payload).decode(),
            )
            for topic, headers, payload in records
        ]
        try:
            return [str(self._link.result(each)["position"]) for each in asked]
        except MemoryRefusedError as error:
            raise RefusedRecordError(f"the broker did not store the record: {error}") from error

    def limit(self, stream: Literal["stream", "dlq_stream"], *, full: bool) -> None:
        """Let a stream refuse every record, or take records again."""
        self._link.request("limit", stream=self._streams.names[stream], full=full)

    def ping(self) -> float:
        """Return the seconds of a round trip."""
        began = time.monotonic()
        self._link.request("ping")
        return time.monotonic() - began

    def close(self) -> None:
        """Leave the broker."""
        self._link.close()


def _record(frame: dict[str, Any], stream: str) -> WireRecord:
    return WireRecord(
        topic=frame["topic"],
        headers=tuple((name, value) for name, value in frame["headers"]),
        payload=base64.b64decode(frame["payload"]),
        position=frame.get("position", ""),
        stream=stream,
        t_ns=frame["t_ns"],
    )


class MemoryLane(Lane):
    """A namespace of the memory broker."""

    def __init__(self, name: str, port: int, token: str, streams: Streams) -> None:
        self.name = name
        self.url = f"memory://{token}@127.0.0.1:{port}/{name}"
        self.names = streams.names
        self._observer = MemoryObserver(port, name, token, streams)

    def observe(self) -> MemoryObserver:
        """Return the lane's observer."""
        return self._observer

    def close(self) -> None:
        """Leave the lane."""
        self._observer.close()


class EmbeddedMemory(Broker):
    """The memory broker in a process of its own. Not durable: nothing outlives the process."""

    kind = "memory"
    provenance = "embedded"
    durable = False
    version = __version__

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._lanes = 0
        self._admin: MemoryConnection | None = None
        command = [sys.executable, "-P", "-B", "-m", "ampy_conformance.broker.memory_server"]
        self._process = start_long_lived(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._finalizer = weakref.finalize(self, _process.end, self._process)
        try:
            self._port, self._admin = _open(self._process)
        except BaseException:
            self.stop()
            raise

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def lane(self) -> MemoryLane:
        """Return a fresh namespace with streams."""
        if self._admin is None:
            raise BrokerError("the memory broker is not running")
        self._lanes += 1
        name, token = f"lane-{self._lanes}", secrets.token_hex(16)
        self._admin.request("create_lane", lane=name, token=token, streams=self._streams.patterns)
        return MemoryLane(name, self._port, token, self._streams)

    def kill(self) -> None:
        """End the broker with SIGKILL; everything it held is gone."""
        _process.kill_group(self._process)
        self._process.wait()

    def restart(self) -> None:
        """Refuse: there is nothing to come back to."""
        raise BrokerError("the memory broker keeps nothing over a restart; use the nats binding")

    def stop(self) -> None:
        """End the broker."""
        if self._admin is not None:
            self._admin.close()
        self._finalizer()


def _open(process: subprocess.Popen[bytes]) -> tuple[int, MemoryConnection]:
    """Hand the new server its token; return its port and the administrator's connection."""
    assert process.stdin is not None
    assert process.stdout is not None
    admin = secrets.token_hex(16)
    try:
        process.stdin.write(admin.encode() + b"\n")
        process.stdin.flush()
        port = json.loads(process.stdout.readline())["port"]
    except (OSError, ValueError) as error:
        raise BrokerError("the memory broker ended before it was ready; try again") from error
    link = MemoryConnection(port)
    link.request("hello", admin=admin)
    return port, link
