"""NATS JetStream as a transport (section 15.1), with nats-py.

One durable pull consumer a group. Only one member at a time is served (priority policy
`pinned_client`, nats-server >= 2.11), because JetStream hands records to whoever asks and two
workers would break the order within a key. nats-py has no typed support for that, so consumer
and pull requests are made on the API subjects, whose bodies are plain JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import nats
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from ampy_conformance.bindings.names import remembered
from ampy_conformance.bindings.nats_answers import Answers
from ampy_conformance.bindings.records import Record
from ampy_conformance.bindings.transport import NOT_YET, Refusal, Unknown, stored, stream_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from ampy_conformance.bindings.transport import Confirmed, Hear, Shifts, Stored, Tuning

PRIORITY_GROUP = "members"
PULL_EXPIRES = 2.0
# Bytes that the server may owe a member: where it owes a connection, which several members may
# share, more than 64 MiB, it cuts it. There may be two such requests.
PULL_BYTES = 8 * 1024 * 1024
OVERHEAD = 1024  # bytes of headers and subjects, at most
FADE = 0.99  # a large record counts for some hundred others
# What the server says at the end of a request: its count is used up, or its bytes are.
COMPLETED, TOO_LARGE = "Batch Completed", "Message Size Exceeds MaxBytes"
# How long other members' work on what they have is waited for, beside redeliveries.
MOST_WORK = 10.0
CONNECT_SECONDS = 5
LOOK_SECONDS = 1.0
# nats-py raises a bare TimeoutError in some places and its own in others.
TIMEOUTS = (asyncio.TimeoutError, nats.errors.TimeoutError)


class NatsTransport:
    """One connection to NATS."""

    async def connect(self, url: str, names: Mapping[str, str], tuning: Tuning) -> None:
        """Connect; reconnects for ever once it was there."""
        self._names = names
        self._tuning = tuning
        try:
            # Reconnecting for ever, nats-py would try for ever the first time as well.
            async with asyncio.timeout(CONNECT_SECONDS):
                self.client: Client = await nats.connect(
                    url,
                    connect_timeout=CONNECT_SECONDS,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.2,
                    allow_reconnect=True,
                    error_cb=_quiet,
                    pending_size=32 * 1024 * 1024,
                )
        except (OSError, NatsError, *TIMEOUTS) as error:
            raise Unknown(
                "not_connected", f"NATS does not answer ({type(error).__name__})"
            ) from error
        self._js = self.client.jetstream(timeout=tuning.publish_timeout)
        self._answers = Answers(self.client, tuning.publish_timeout)
        try:
            await self._answers.begin()
        except (OSError, NatsError, *TIMEOUTS) as error:
            raise Unknown("connection_lost", type(error).__name__) from error

    async def publish(
        self, topic: str, headers: Mapping[str, str], payload: bytes, message_id: str | None
    ) -> str:
        """Publish with acknowledgement; the id lets the broker drop a producer's own retries."""
        return await stored(self, topic, headers, payload, message_id)

    async def send(
        self,
        topic: str,
        headers: Mapping[str, str],
        payload: bytes,
        message_id: str | None,
        answered: Stored,
    ) -> None:
        """Publish, and hear later what has become of it."""
        if message_id is not None:
            headers = {**headers, "Nats-Msg-Id": message_id}

        def heard(answer: bytes | Exception) -> None:
            answered(stored_at(answer))

        try:
            await self._answers.ask(topic, payload, heard, headers)
        except (NatsError, OSError, *TIMEOUTS) as error:
            raise trouble(error) from error

    async def join(
        self,
        pattern: str,
        group: str,
        member: str,
        start: str,
        taken: Callable[[Record], None],
        shifts: Shifts | None = None,
    ) -> NatsMembership:
        """Make the group's durable consumer where it is new, and pull from it."""
        stream = self._names[stream_of(pattern)]
        name = re.sub(r"[^\w-]", "_", group)
        await self._create(stream, name, pattern, start)
        membership = NatsMembership(
            self.client, self._answers, stream, name, member, self._tuning, taken, shifts
        )
        await membership.begin()
        return membership

    def consumer(self, name: str, pattern: str, start: str) -> dict[str, Any]:
        """Return the configuration of a group's durable consumer."""
        tuning = self._tuning
        return {
            "durable_name": name,
            "filter_subject": pattern,
            "ack_policy": "explicit",
            "ack_wait": int(tuning.redelivery * 1e9),
            "max_deliver": -1,
            "max_ack_pending": tuning.max_in_flight,
            "deliver_policy": "all" if start == "earliest" else "new",
            "priority_groups": [PRIORITY_GROUP],
            "priority_policy": "pinned_client",
            "priority_timeout": int(priority_timeout(tuning) * 1e9),
        }

    async def _create(self, stream: str, name: str, pattern: str, start: str) -> None:
        config = self.consumer(name, pattern, start)
        subject = f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}"
        answer = await call(self.client, subject, {"stream_name": stream, "config": config})
        if "error" in answer:
            # A group that exists is joined as it is; its place in the log is its own.
            info = await call(self.client, f"$JS.API.CONSUMER.INFO.{stream}.{name}", {})
            if info.get("config", {}).get("filter_subject") != pattern:
                raise Refusal("denied", f"the group exists with another pattern: {answer['error']}")

    async def read(self, pattern: str, since: float | None = None) -> list[Record]:
        """Read the log with a consumer of its own, up to where it ends now."""
        stream = self._names[stream_of(pattern)]
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE, inactive_threshold=30.0, mem_storage=True
        )
        if since is not None:
            config.deliver_policy = DeliverPolicy.BY_START_TIME
            config.opt_start_time = dt.datetime.fromtimestamp(since, dt.UTC)
        found: list[Record] = []
        try:
            reader = await self._js.pull_subscribe(pattern, stream=stream, config=config)
            try:
                info = await reader.consumer_info()
                left = info.num_pending or 0
                while left > 0:
                    batch = await reader.fetch(min(left, 256), timeout=self._tuning.publish_timeout)
                    found += [record_of(each) for each in batch]
                    left -= len(batch)
                await self._js.delete_consumer(stream, info.name)
            finally:
                await reader.unsubscribe()
        except (NatsError, OSError, *TIMEOUTS) as error:
            raise Unknown("timeout", f"the log was not read ({type(error).__name__})") from error
        return found

    async def listen(self, topic: str, hear: Hear) -> None:
        """Subscribe on plain NATS: what goes into the stream passes there as well."""

        async def message(each: Msg) -> None:
            hear(each.subject, each.headers or {}, each.data)

        await self.client.subscribe(topic, cb=message)

    async def close(self) -> None:
        """Disconnect."""
        self._answers.close()
        with contextlib.suppress(NatsError, OSError, *TIMEOUTS):
            await self.client.close()


class NatsMembership:
    """One member of a group: pulls records and keeps their order when it becomes the one.

    So it does where deliveries were lost on the way, which a gap in the consumer's numbers tells.
    """

    def __init__(
        self,
        client: Client,
        answers: Answers,
        stream: str,
        name: str,
        member: str,
        tuning: Tuning,
        taken: Callable[[Record], None],
        shifts: Shifts | None = None,
    ) -> None:
        self.name = name
        self._shifts = shifts
        self._client = client
        self._answers = answers
        self._stream = stream
        self._member = member
        self._tuning = tuning
        self._taken = taken
        self._pin: str | None = None
        self._renew_every = priority_timeout(tuning) / 3
        self._renewed = 0.0  # when the server last heard that the pinned member is there
        self._asked = 0  # records that the server owes
        self._asked_until = 0.0
        self._size = 1.0  # bytes of a large record among the last ones
        self._large = False  # the next record does not fit into what a request asks for
        self._wake = asyncio.Event()
        self._number = 0
        self._hold: Hold | None = None
        # What was given to us and is not settled, by position, and the positions settled last.
        self._open: dict[int, Record] = {}
        self._settled: OrderedDict[int, None] = OrderedDict()

    async def begin(self) -> None:
        """Subscribe to an inbox and begin to pull."""
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(self._inbox, cb=self._message)
        self._task = asyncio.ensure_future(self._pull())

    async def _pull(self) -> None:
        while True:
            now = time.monotonic()
            if now > self._asked_until:
                self._asked = 0
            more = self._room()
            # The server takes a pinned member that does not pull for dead, also one that is full.
            if more or (self._pin is not None and now - self._renewed >= self._renew_every):
                await self._ask(more, now)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                pause = 0.1 if self._hold else min(0.5, self._renew_every)
                await asyncio.wait_for(self._wake.wait(), pause)
            if self._hold is not None:
                # Whatever goes wrong with a look, the next one may be better, and in the end it is over.
                with contextlib.suppress(Exception):
                    await self._look()
                with contextlib.suppress(Exception):
                    self._release()

    async def _ask(self, more: int, now: float) -> None:
        request: dict[str, Any] = {
            "batch": more or 1,
            "expires": int(PULL_EXPIRES * 1e9),
            "max_bytes": PULL_BYTES,
            "group": PRIORITY_GROUP,
        }
        if more:
            self._asked_until = now + PULL_EXPIRES + 0.5
            if self._large:
                request["batch"] = 1
                del request["max_bytes"]
                self._large = False
        if self._pin is not None:
            request["id"] = self._pin
        self._asked += int(request["batch"])
        self._renewed = now
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self.name}"
        with contextlib.suppress(NatsError, OSError):
            await self._client.publish(subject, json.dumps(request).encode(), reply=self._inbox)

    def _room(self) -> int:
        """Return how many records to ask for: none while the server still owes half of what fits.

        So that it need not wait for us: while it sends the rest, the next request is on its way.
        """
        room = self._tuning.max_in_flight - len(self._open)
        if room <= 0:
            return 0
        fits = max(1, min(room, int(PULL_BYTES / self._size)))
        return fits - self._asked if self._asked <= fits // 2 else 0

    def _ended(self, headers: Mapping[str, str]) -> None:
        """Take the end of a request: what it left over is owed no more."""
        self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages", self._asked)))
        # Where it had given out nothing, the next record is larger than any such request.
        left = int(headers.get("Nats-Pending-Bytes", PULL_BYTES))
        self._large = headers.get("Description") == TOO_LARGE and left >= PULL_BYTES
        self._wake.set()

    async def _message(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if status is not None and not message.reply:
            if status == "423":  # another member is the pinned one, or our pin is out of date
                self._pin = None
            # That a count is used up was seen by its records.
            if status != "100" and headers.get("Description") != COMPLETED:
                self._ended(headers)
            return
        self._asked = max(0, self._asked - 1)
        self._size = max(len(message.data) + OVERHEAD, self._size * FADE)
        pin = headers.get("Nats-Pin-Id")
        record, number = record_of(message), number_of(message)
        record.followed = self._asked > 0 and more_behind(message)
        gap, self._number = number != self._number + 1, number
        if pin is not None and pin != self._pin:
            self._pin, gap = pin, True
        position = int(record.position)
        again = position in self._settled  # it came before the server heard of it
        if not again:
            self._open[position] = record
        if gap:
            self._hold = self._hold or Hold(self._deadline())
            self._hold.doubt()
        if self._hold is None or again:
            self._taken(record)
        else:
            self._hold.add(record)
        if self._hold is not None:
            if gap:
                await self._look()
            self._release()
        if self._hold is not None or self._room():
            self._wake.set()

    def _deadline(self) -> float:
        """Return until when others may still be at work on what they have: all its attempts."""
        tuning = self._tuning
        work = (tuning.max_attempts or 1) * (tuning.handler_timeout + tuning.backoff_max)
        return time.monotonic() + 2 * tuning.redelivery + 0.5 + min(MOST_WORK, work)

    async def _look(self) -> None:
        """Ask how many records of the group are open, and which was the last that was given out."""
        hold, subject = self._hold, f"$JS.API.CONSUMER.INFO.{self._stream}.{self.name}"
        assert hold is not None
        doubts = hold.doubts
        try:
            info = await call(self._client, subject, {}, LOOK_SECONDS)
            pending, last = int(info["num_ack_pending"]), int(info["delivered"]["stream_seq"])
        except (Unknown, KeyError):
            hold.deadline = self._deadline()  # while nobody answers nothing can come
            return
        if doubts == hold.doubts:  # else it may be of before something was lost
            hold.expect(pending, last)

    def _release(self) -> None:
        """Pass on what is held, in order, once nothing is missing or waiting makes no sense."""
        hold = self._hold
        if hold is None:
            return
        if not hold.overdue():
            if hold.complete(self._open):
                self._leave_out(hold)
            if not hold.complete(self._open):
                return
        self._hold = None
        for each in hold.in_order():
            self._taken(each)

    def _leave_out(self, hold: Hold) -> None:
        """Forget what another member is through with, and pass it on if it is held.

        That is remembered before it is acknowledged. So what is not remembered now was open when the
        broker was asked, and none of it can be taken for one that is missing.
        """
        if self._shifts is None:
            return
        for each in self._shifts.handled(list(self._open.values())):
            del self._open[int(each.position)]
            if hold.drop(each):
                self._taken(each)

    async def lag(self) -> int:
        """Return what is stored and not delivered, plus what is delivered and not acknowledged."""
        subject = f"$JS.API.CONSUMER.INFO.{self._stream}.{self.name}"
        info = await call(self._client, subject, {})
        return int(info.get("num_pending", 0)) + int(info.get("num_ack_pending", 0))

    async def ack(self, records: Sequence[Record], confirmed: Confirmed) -> None:
        """Acknowledge records; the server confirms each."""
        for each in records:
            position = int(each.position)
            self._open.pop(position, None)
            self._settled[position] = None
            self._settled.move_to_end(position)
        while len(self._settled) > 4 * self._tuning.max_in_flight:
            self._settled.popitem(last=False)
        self._wake.set()
        for each in records:

            def heard(answer: bytes | Exception, record: Record = each) -> None:
                confirmed(record, not isinstance(answer, Exception))

            try:
                await self._answers.ask(each.token, b"+ACK", heard)
            except (NatsError, OSError, *TIMEOUTS):
                confirmed(each, NOT_YET)

    async def progress(self, records: Sequence[Record]) -> None:
        """Begin the redelivery time of these records anew."""
        for each in records:
            with contextlib.suppress(NatsError, OSError):
                await self._client.publish(each.token, b"+WPI")

    async def give_back(self, records: Sequence[Record]) -> None:
        """Return records at once, in order."""
        for each in records:
            with contextlib.suppress(NatsError, OSError):
                await self._client.publish(each.token, b"-NAK")

    async def leave(self) -> None:
        """Stop pulling and let another member be the one."""
        self._task.cancel()
        with contextlib.suppress(NatsError, OSError, Unknown):
            await self._subscription.unsubscribe()
            if self._pin is not None:
                subject = f"$JS.API.CONSUMER.UNPIN.{self._stream}.{self.name}"
                await call(self._client, subject, {"group": PRIORITY_GROUP})


class Hold:
    """Holds records back until those that are open in the group have all come.

    A new member may be given 3, 4, 5 before the dead member's 0, 1, 2, and one that was cut off for
    a moment 6 before 3, 4, 5 that were lost: within a key that would be the wrong order.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.doubts = 0
        self._records: dict[int, Record] = {}
        self._pending: int | None = None
        self._last = 0

    def doubt(self) -> None:
        """Take back what is expected: something was lost, or given to others, since then."""
        self.doubts += 1
        self._pending = None

    def expect(self, pending: int, last: int) -> None:
        """Say how many records are open in the group, and the last position given out."""
        self._pending, self._last = pending, last

    def add(self, record: Record) -> None:
        """Hold a record."""
        self._records[int(record.position)] = record

    def drop(self, record: Record) -> bool:
        """Hold a record no longer; tells whether it was held."""
        return self._records.pop(int(record.position), None) is not None

    def complete(self, mine: Collection[int]) -> bool:
        """Tell whether all that is open in the group is among the positions that this member has."""
        if self._pending is None or len(mine) < self._pending:
            return False
        return sum(each <= self._last for each in mine) >= self._pending

    def overdue(self) -> bool:
        """Tell whether waiting longer makes no sense: others hold them, or settled them."""
        return time.monotonic() > self.deadline

    def in_order(self) -> list[Record]:
        """Return what is held, in stored order."""
        return [self._records[position] for position in sorted(self._records)]


def priority_timeout(tuning: Tuning) -> float:
    """Return how many seconds a pinned member may be silent before another one is served."""
    return max(1.0, tuning.redelivery)


def record_of(message: Msg) -> Record:
    """Return the record in a message of a JetStream consumer."""
    tokens = _tokens(message)
    headers = message.headers or {}
    headers = {name: headers[name] for name in own(tuple(headers))}
    return Record(
        position=tokens[2],
        topic=message.subject,
        headers=headers,
        payload=message.data,
        token=message.reply,
        redelivered=int(tokens[1]) - 1,
    )


def number_of(message: Msg) -> int:
    """Return the how manieth delivery of its consumer a message is; none is left out."""
    return int(_tokens(message)[3])


def more_behind(message: Msg) -> bool:
    """Tell whether the consumer had more records waiting when it gave this one out."""
    return not message.reply.endswith(".0")


def _tokens(message: Msg) -> list[str]:
    # $JS.ACK.stream.consumer.delivered.stream_seq.consumer_seq.time.pending
    return message.reply.rsplit(".", 5)


@remembered
def own(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of headers without those that the broker or the client added."""
    return tuple(each for each in names if not each.startswith("Nats-"))


def stored_at(answer: bytes | Exception) -> str | Exception:
    """Return the position in JetStream's answer to a publish, or why there is none."""
    if isinstance(answer, Exception):
        return trouble(answer)
    found = json.loads(answer)
    if "error" in found:
        return Refusal("throttled", f"JetStream refused it: {found['error'].get('description')}")
    return str(found["seq"])


def trouble(error: Exception) -> Refusal | Unknown:
    """Return what an error of a publish means: refused for certain, or nobody knows."""
    if isinstance(error, MaxPayloadError):
        return Refusal("too_large", "the record is larger than the server takes")
    if isinstance(error, NoRespondersError):
        return Refusal("invalid_topic", "no stream takes the topic")
    if isinstance(error, TIMEOUTS):
        return Unknown("timeout", "no acknowledgement in time")
    return Unknown("connection_lost", type(error).__name__)


async def call(
    client: Client, subject: str, body: Mapping[str, Any], patience: float = 5.0
) -> dict[str, Any]:
    """Ask the JetStream API; raises `Unknown` where it does not answer in so many seconds."""
    try:
        answer = await client.request(subject, json.dumps(body).encode(), timeout=patience)
    except NoRespondersError as error:
        raise Unknown("not_connected", "the server has no JetStream for us") from error
    except (NatsError, OSError, *TIMEOUTS) as error:
        raise Unknown("timeout", f"JetStream did not answer ({type(error).__name__})") from error
    found: dict[str, Any] = json.loads(answer.data)
    return found


async def _quiet(_: Exception) -> None:
    """Errors show where they matter: at the call that met them."""
