"""The memory broker: what JetStream is to the NATS binding, this is to the in-memory one.

`python -P -m ampy_conformance.broker.memory_server` listens on 127.0.0.1 and prints one line,
`{"port": N}`. The administrator's token is read from the first line of standard input; the
server ends when standard input ends. Everything is in its memory: logs and consumer groups
survive the clients, nothing survives the server.

Wire protocol, version 1
========================
JSON Lines, UTF-8, one object a line, at most 8 MiB, over TCP. A client sends requests with an
`id` (integer) and an `op`; each gets exactly one answer, in the order of the requests:

    {"re": id, "ok": true, ...}                                    done
    {"re": id, "ok": false, "code": "...", "detail": "..."}        refused: it did not happen

Events carry `event` instead and come in between, at any time. Requests may be pipelined.
A line that is no frame is answered with the code `bad_frame` (`re` null where it has no id), and
the connection is closed.

URL of a lane: `memory://TOKEN@127.0.0.1:PORT/LANE`. A lane is a namespace of its own with two
(or more) streams: append-only logs that take the topics their patterns cover (`*` one token,
a last `>` one or more). The names of the streams come from the harness (`names` of `open`).
Positions are decimal text, from "1", dense within a stream.

Record fields, everywhere: `topic` (text), `headers` (list of [name, value] pairs, order and
case kept), `payload` (base64, standard alphabet); `t_ns` (integer, wall clock when stored) is
added by the server.

`{"id", "op": "hello", "lane": LANE, "token": TOKEN}`  first frame of every connection
    answer: `version` (1), `streams` ({name: [patterns]}), `max_record_bytes`
    (headers as UTF-8 plus payload bytes). RefusedError with `denied`; then the connection is closed.
`{"op": "publish", topic, headers, payload}`
    answer: `stream`, `position`: the record is stored. Codes: `no_stream` (no stream takes the
    topic), `full`, `too_large`, `bad_topic`.
`{"op": "join", "stream": NAME, "group": NAME, "patterns": [..], "start": "earliest"|"latest",
  "member": NAME, "consumer": HANDLE, "redelivery_ms": N, "max_pending": N}`
    Makes the durable group if it is new (`start` counts then only) and joins it. `consumer` is
    the client's own name for this membership, unique in its connection. One member of a group
    is active, the others stand by in the order in which they joined. answer: `active` (bool),
    `created` (bool). `redelivery_ms` and `max_pending` of the latest join hold for the group.
    Codes: `unknown_stream`, `exists` (known group, other patterns), `bad_frame`.
    Events, never before the answer:
    `{"event": "deliver", "consumer", "position", "attempt", topic, headers, payload, t_ns}`
        to the active member, in the order of the log; `attempt` counts the deliveries of this
        record in this group from 1, over all members. At most `max_pending` records are open
        (delivered, not acknowledged; those that wait for redelivery count).
        A record not acknowledged within `redelivery_ms` is delivered again, before new ones.
    `{"event": "active", "consumer"}`  a member standing by is now the active one. All records
        that the former one had open follow, in the order of the log, then new ones.
`{"op": "ack", "consumer", "positions": [..]}`
    answer: `settled`: how many of them were open (0 for one acknowledged before). They are not
    delivered again. Codes for this and the next two: `unknown_consumer`, `not_active`.
`{"op": "nak", "consumer", "positions": [..], "delay_ms": N}`
    answer: `settled`; they are delivered again after the delay, others meanwhile.
`{"op": "in_progress", "consumer", "positions": [..]}`
    answer: `settled`; their redelivery time starts anew.
`{"op": "leave", "consumer"}`
    answer; the open records of an active member go to the next one at once, or wait for one.
    The end of a connection does the same for all its consumers.
`{"op": "groups"}`
    answer: `groups`: [{stream, group, patterns, members: [names], pending (records not delivered
    yet), pending_acks, redelivered (of these), delivered (highest position), ack_floor (all up to
    it are settled)}].
`{"op": "read", "stream": NAME, "after": POSITION ("0": from the start), "max": N}`
    answer: `records`: [{position, topic, headers, payload, t_ns}], `last` (last position there
    is). At most `max` records, and at most about 4 MiB of them.
`{"op": "ping"}`  answer.

Of use to the harness alone:

`{"op": "tap"}`  answer; then `{"event": "tap", topic, headers, payload, t_ns}` for every record
    that anybody tries to publish in this lane, stored or refused, before it is answered.
`{"op": "watch"}`  answer; then `{"event": "change"}` whenever a log or a group has changed.
`{"op": "limit", "stream": NAME, "full": true|false}`  the stream refuses records with `full`.
`{"op": "hello", "admin": TOKEN}`, then `{"op": "create_lane", "lane", "token",
  "streams": {name: [patterns]}}` and `{"op": "delete_lane", "lane"}`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
import sys
import time
from typing import Any

from ampy_conformance.broker.memory_state import (
    MAX_RECORD_BYTES,
    Group,
    Lane,
    Member,
    Record,
    RefusedError,
)

VERSION = 1
MAX_LINE_BYTES = 8388608
READ_BYTES = 4194304


class Server:
    """All lanes, and one timer a group."""

    def __init__(self, admin: str) -> None:
        self.admin = admin
        self.lanes: dict[str, Lane] = {}
        self.watchers: dict[str, list[Connection]] = {}
        self._timers: dict[Group, asyncio.Handle] = {}

    async def serve(self) -> None:
        """Listen until standard input ends."""
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=MAX_LINE_BYTES)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await loop.run_in_executor(None, sys.stdin.buffer.read)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, writer)
        try:
            while line := await reader.readline():
                if not connection.take(line):
                    break
                await writer.drain()
        except (ValueError, ConnectionError, asyncio.CancelledError):
            pass  # a line over the limit, a client that is gone, the end: the connection is over
        finally:
            connection.closed()
            writer.close()

    def soon(self, group: Group) -> None:
        """Look after a group once the current request has been answered."""
        self._schedule(group, None)

    def _schedule(self, group: Group, due: float | None) -> None:
        loop = asyncio.get_running_loop()
        if (old := self._timers.pop(group, None)) is not None:
            old.cancel()
        if due is None:
            self._timers[group] = loop.call_soon(self._pump, group)
        else:
            self._timers[group] = loop.call_at(due, self._pump, group)

    def _pump(self, group: Group) -> None:
        self._timers.pop(group, None)
        due = group.pump(asyncio.get_running_loop().time())
        if due is not None:
            self._schedule(group, due)

    def changed(self, name: str) -> None:
        """Tell those who watch the lane."""
        for each in self.watchers.get(name, ()):
            each.send({"event": "change"})


class Connection:
    """One client: its lane and its consumers."""

    def __init__(self, server: Server, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.writer = writer
        self.name = ""
        self.lane: Lane | None = None
        self.is_admin = False
        self.consumers: dict[str, tuple[Group, Member]] = {}

    def send(self, frame: dict[str, Any]) -> None:
        """Write one frame; a client that is gone is noticed by its reader."""
        if not self.writer.is_closing():
            self.writer.write(json.dumps(frame, separators=(",", ":")).encode() + b"\n")

    def take(self, line: bytes) -> bool:
        """Carry out one request and answer it; False ends the connection."""
        number = None
        try:
            frame = json.loads(line)
            number = frame["id"]
            answer = self._do(frame)
        except RefusedError as refusal:
            self.send({"re": number, "ok": False, "code": refusal.code, "detail": str(refusal)})
            return refusal.code not in ("denied", "bad_frame")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            detail = f"{type(error).__name__}: {error}"
            self.send({"re": number, "ok": False, "code": "bad_frame", "detail": detail})
            return False
        self.send({"re": number, "ok": True, **answer})
        return True

    def _do(self, frame: dict[str, Any]) -> dict[str, Any]:
        op = frame["op"]
        if op != "hello" and self.lane is None and not self.is_admin:
            raise RefusedError("denied", "the first frame is hello")
        method = getattr(self, f"_op_{op}", None)
        if method is None or (op != "hello" and (op in ADMIN) is not self.is_admin):
            raise RefusedError("unknown_op", f"there is no {op!r} here")
        answer: dict[str, Any] = method(frame)
        return answer

    def closed(self) -> None:
        """Give back what this client had."""
        for consumer in list(self.consumers):
            self._leave(consumer)
        if self.lane is not None and self.send in self.lane.taps:
            self.lane.taps.remove(self.send)
        for watchers in self.server.watchers.values():
            if self in watchers:
                watchers.remove(self)

    def _here(self) -> Lane:
        assert self.lane is not None
        return self.lane

    def _consumer(self, frame: dict[str, Any]) -> Group:
        """Return the group of an active membership of this client."""
        if frame["consumer"] not in self.consumers:
            raise RefusedError("unknown_consumer", f"there is no consumer {frame['consumer']!r}")
        group, member = self.consumers[frame["consumer"]]
        if group.active is not member:
            raise RefusedError("not_active", "another member of the group is the active one")
        return group

    def _after(self, group: Group) -> None:
        self.server.soon(group)
        self.server.changed(self.name)

    def _op_hello(self, frame: dict[str, Any]) -> dict[str, Any]:
        if "admin" in frame:
            if not secrets.compare_digest(str(frame["admin"]), self.server.admin):
                raise RefusedError("denied", "wrong token")
            self.is_admin = True
            return {"version": VERSION}
        name = frame["lane"]
        lane = self.server.lanes.get(name)
        if lane is None or not secrets.compare_digest(str(frame["token"]), lane.token):
            raise RefusedError("denied", "no such lane, or the wrong token")
        self.name, self.lane = name, lane
        streams = {each.name: each.patterns for each in lane.streams.values()}
        return {"version": VERSION, "streams": streams, "max_record_bytes": MAX_RECORD_BYTES}

    def _op_publish(self, frame: dict[str, Any]) -> dict[str, Any]:
        headers = [[str(name), str(value)] for name, value in frame["headers"]]
        try:
            payload = base64.b64decode(frame["payload"], validate=True)
        except binascii.Error as error:
            raise RefusedError("bad_frame", "payload is not base64") from error
        size = len(payload) + sum(
            len(name.encode()) + len(value.encode()) for name, value in headers
        )
        record = Record(str(frame["topic"]), headers, frame["payload"], size, time.time_ns())
        lane = self._here()
        stream, position = lane.publish(record)
        for group in lane.groups.values():
            if group.stream is stream:
                self.server.soon(group)
        self.server.changed(self.name)
        return {"stream": stream.name, "position": str(position)}

    def _op_join(self, frame: dict[str, Any]) -> dict[str, Any]:
        consumer, patterns, start = frame["consumer"], list(frame["patterns"]), frame["start"]
        if consumer in self.consumers or start not in ("earliest", "latest"):
            raise RefusedError(
                "bad_frame", "consumer is in use, or start is neither earliest nor latest"
            )
        lane = self._here()
        created = (frame["stream"], frame["group"]) not in lane.groups
        group = lane.group(frame["stream"], frame["group"], patterns, start)
        group.redelivery = int(frame["redelivery_ms"]) / 1000
        group.max_pending = max(1, int(frame["max_pending"]))
        member = Member(consumer, str(frame["member"]), self.send)
        group.join(member)
        self.consumers[consumer] = (group, member)
        self._after(group)
        return {"active": group.active is member, "created": created}

    def _op_ack(self, frame: dict[str, Any]) -> dict[str, Any]:
        group = self._consumer(frame)
        settled = group.ack([int(each) for each in frame["positions"]])
        self._after(group)
        return {"settled": settled}

    def _op_nak(self, frame: dict[str, Any]) -> dict[str, Any]:
        return self._postpone(frame, float(frame["delay_ms"]) / 1000)

    def _op_in_progress(self, frame: dict[str, Any]) -> dict[str, Any]:
        return self._postpone(frame, self._consumer(frame).redelivery)

    def _postpone(self, frame: dict[str, Any], delay: float) -> dict[str, Any]:
        group = self._consumer(frame)
        due = asyncio.get_running_loop().time() + delay
        settled = group.postpone([int(each) for each in frame["positions"]], due)
        self._after(group)
        return {"settled": settled}

    def _op_leave(self, frame: dict[str, Any]) -> dict[str, Any]:
        if frame["consumer"] not in self.consumers:
            raise RefusedError("unknown_consumer", f"there is no consumer {frame['consumer']!r}")
        self._leave(frame["consumer"])
        return {}

    def _leave(self, consumer: str) -> None:
        group, member = self.consumers.pop(consumer)
        group.leave(member)
        self._after(group)

    def _op_groups(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"groups": [each.state() for each in self._here().groups.values()]}

    def _op_read(self, frame: dict[str, Any]) -> dict[str, Any]:
        log = self._here().stream(frame["stream"]).log
        after, budget = max(0, int(frame["after"])), READ_BYTES
        records: list[dict[str, Any]] = []
        for place in range(after, min(len(log), after + int(frame["max"]))):
            budget -= log[place].size
            if records and budget < 0:
                break
            records.append({"position": str(place + 1), **log[place].frame()})
        return {"records": records, "last": str(len(log))}

    def _op_ping(self, _: dict[str, Any]) -> dict[str, Any]:
        return {}

    def _op_tap(self, _: dict[str, Any]) -> dict[str, Any]:
        self._here().taps.append(self.send)
        return {}

    def _op_watch(self, _: dict[str, Any]) -> dict[str, Any]:
        self.server.watchers.setdefault(self.name, []).append(self)
        return {}

    def _op_limit(self, frame: dict[str, Any]) -> dict[str, Any]:
        self._here().stream(frame["stream"]).full = bool(frame["full"])
        return {}

    def _op_create_lane(self, frame: dict[str, Any]) -> dict[str, Any]:
        if frame["lane"] in self.server.lanes:
            raise RefusedError("exists", "there is such a lane")
        self.server.lanes[frame["lane"]] = Lane(str(frame["token"]), dict(frame["streams"]))
        return {}

    def _op_delete_lane(self, frame: dict[str, Any]) -> dict[str, Any]:
        self.server.lanes.pop(frame["lane"], None)
        return {}


ADMIN = frozenset({"create_lane", "delete_lane"})


def main() -> None:
    """Run the server; the administrator's token comes on standard input."""
    admin = sys.stdin.buffer.readline().decode().strip()
    asyncio.run(Server(admin).serve())


if __name__ == "__main__":
    main()
