"""Load plans of a Python driver: sending and stamping, receiving and stamping.

A driver gives `Loads` what publishes one record, or what sends it and tells later what became of
it, and tells a `Receiver` of every handler invocation. Nothing is logged, encoded or collected while a plan runs; samples leave at its end.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import gc
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.kit.base import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ampy_conformance.kit.base import Frame

    Publish = Callable[[Frame], Awaitable[Frame]]
    Submit = Callable[[Frame], Awaitable[asyncio.Future[Any]]]
    Outcome = Callable[[asyncio.Future[Any]], str]
    Emit = Callable[..., None]

DIGITS = 10
CHUNK = 10_000
OUTCOMES = {"ok": 0, "fail": 1, "info": 2}
NEVER = -1
# Sends that are overdue leave in groups of so many: answers have to be read in between.
AT_ONCE = 16


@dataclass(frozen=True)
class Template:
    """A record of which only the number behind the marker changes.

    `before` and `after` are the payload around the ten digits; `key` is the dedupe key likewise.
    """

    record: Frame
    before: bytes
    after: bytes
    key: tuple[str, str] | None

    @classmethod
    def of(cls, record: Frame, marker: str) -> Template:
        """Take a record of a plan apart; raises `Refused` where the marker is not in it."""
        body = base64.b64decode(record["payload"])
        place = body.find(marker.encode()) + len(marker)
        if place < len(marker) or len(body) < place + DIGITS:
            raise Refused("bad_request", "a template does not hold the marker and ten digits")
        text = record.get("dedupe_key") or ""
        at = text.find(marker) + len(marker)
        key = (text[:at], text[at + DIGITS :]) if marker in text else None
        return cls(record, body[:place], body[place + DIGITS :], key)

    def fill(self, number: int) -> Frame:
        """Return the record with this number; its payload is bytes, not base64."""
        digits = f"{number:0{DIGITS}d}"
        filled = {**self.record, "payload": self.before + digits.encode() + self.after}
        if self.key is not None:
            filled["dedupe_key"] = digits.join(self.key)
        return filled


class Loads:
    """The load plans of one driver."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, frame: Frame, publish: Publish) -> None:
        """Begin to send a plan; `publish` takes a record with `payload` as bytes.

        It returns what the answer to a `publish` frame holds for it (`outcome` suffices).
        """

        async def submit(record: Frame) -> asyncio.Future[Any]:
            return asyncio.ensure_future(publish(record))

        self.pipe(frame, submit, _told)

    def pipe(self, frame: Frame, submit: Submit, outcome: Outcome) -> None:
        """Begin to send a plan without a task for each record.

        `submit` takes a record with `payload` as bytes and returns a future when the record is on
        its way: the next one waits for that. `outcome` returns the outcome (`ok`, `fail` or `info`)
        in a future that is done.
        """
        _needs(frame, "marker", "start_ns", "until_ns", "schedule", "picks", "templates")
        if len(frame["schedule"]) != len(frame["picks"]):
            raise Refused("bad_request", "schedule and picks are not of one length")
        templates = [Template.of(each, frame["marker"]) for each in frame["templates"]]
        if any(each >= len(templates) for each in frame["picks"]):
            raise Refused("bad_request", "a pick names no template")
        self._start(_Sender(self._emit, frame, templates, submit, outcome).run())

    def receive(self, frame: Frame) -> Receiver:
        """Begin to stamp what a subscription delivers; the driver acknowledges by itself."""
        _needs(frame, "marker", "start_ns", "until_ns", "expect")
        receiver = Receiver(self._emit, frame)
        self._start(receiver.run())
        return receiver

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End all plans; samples that were not sent are lost."""
        for each in list(self._tasks):
            each.cancel()


def _told(answer: asyncio.Future[Any]) -> str:
    return str(answer.result()["outcome"])


def _needs(frame: Frame, *fields: str) -> None:
    missing = [each for each in fields if each not in frame]
    if missing:
        raise Refused("bad_request", f"load_plan: {', '.join(missing)} is missing")


class _Sender:
    def __init__(
        self,
        emit: Emit,
        frame: Frame,
        templates: list[Template],
        submit: Submit,
        outcome: Outcome,
    ) -> None:
        self._emit = emit
        self._load = frame["load"]
        self._first = frame.get("first", 0)
        self._start: int = frame["start_ns"]
        self._until: int = frame["start_ns"] + frame["until_ns"]
        self._schedule = array("q", frame["schedule"])
        self._picks = array("l", frame["picks"])
        self._templates = templates
        self._submit = submit
        self._outcome = outcome
        self._window = frame.get("in_flight")
        count = len(self._schedule)
        self._called = array("q", [NEVER]) * count
        self._returned = array("q", [NEVER]) * count
        self._outcomes = array("b", [OUTCOMES["info"]]) * count
        self._open: set[asyncio.Future[Any]] = set()
        self._sent = 0

    async def run(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            left = (self._until - time.monotonic_ns()) / 1e9
            with contextlib.suppress(TimeoutError):  # it may wait for answers that do not come
                await asyncio.wait_for(self._send(), max(0.0, left))
            left = (self._until - time.monotonic_ns()) / 1e9
            if self._open:
                await asyncio.wait(list(self._open), timeout=max(0.0, left))
            for each in list(self._open):
                each.cancel()
        finally:
            gc.enable()
            gc.unfreeze()
        await self._report(self._sent)

    async def _send(self) -> None:
        """Send what is due, when it is due, until the plan ends; counts what was sent."""
        room = asyncio.Semaphore(self._window) if self._window else None
        clock, start = time.monotonic_ns, self._start
        row = 0
        for index, at in enumerate(self._schedule):
            due = start + at
            now = clock()
            while now < due:
                row = 0
                await asyncio.sleep((due - now) / 1e9)
                now = clock()
            if now >= self._until:
                return
            if room is not None:
                await room.acquire()
            record = self._templates[self._picks[index]].fill(self._first + index)
            self._called[index] = clock() - start
            self._sent = index + 1
            future = await self._submit(record)
            self._open.add(future)
            future.add_done_callback(functools.partial(self._ended, index, room))
            row += 1
            if row >= AT_ONCE:
                row = 0
                await asyncio.sleep(0)

    def _ended(
        self, index: int, room: asyncio.Semaphore | None, future: asyncio.Future[Any]
    ) -> None:
        now = time.monotonic_ns()
        self._open.discard(future)
        if room is not None:
            room.release()
        if not future.cancelled():
            self._outcomes[index] = OUTCOMES[self._outcome(future)]
            self._returned[index] = now - self._start

    async def _report(self, sent: int) -> None:
        for begin in range(0, sent, CHUNK):
            part = slice(begin, min(sent, begin + CHUNK))
            self._emit(
                "load_samples",
                load=self._load,
                numbers=list(range(self._first + part.start, self._first + part.stop)),
                called_ns=self._called[part].tolist(),
                returned_ns=self._returned[part].tolist(),
                outcomes=self._outcomes[part].tolist(),
            )
            await asyncio.sleep(0)
        self._emit("load_samples", load=self._load, done=True)


class Receiver:
    """Stamps the first delivery of every record of a load."""

    def __init__(self, emit: Emit, frame: Frame) -> None:
        self._emit = emit
        self._load = frame["load"]
        self._marker = frame["marker"].encode()
        self._start: int = frame["start_ns"]
        self._until: int = frame["start_ns"] + frame["until_ns"]
        self._expect = frame["expect"]
        self._stamps: dict[int, int] = {}
        self._repeats = 0
        self._whole = asyncio.Event()
        if not self._expect:
            self._whole.set()

    def delivered(self, body: bytes) -> None:
        """Take note that the handler is given this payload now; others than the load's are ignored."""
        now = time.monotonic_ns()
        place = body.find(self._marker)
        if place < 0:
            return
        place += len(self._marker)
        number = int(body[place : place + DIGITS])
        if number in self._stamps:
            self._repeats += 1
            return
        self._stamps[number] = now - self._start
        if len(self._stamps) >= self._expect:
            self._whole.set()

    async def run(self) -> None:
        """Wait for the end of the plan and send the samples."""
        gc.collect()
        gc.freeze()
        gc.disable()
        left = (self._until - time.monotonic_ns()) / 1e9
        try:
            await asyncio.wait_for(self._whole.wait(), max(0.0, left))
        except TimeoutError:
            pass
        finally:
            gc.enable()
            gc.unfreeze()
        found = list(self._stamps.items())
        for begin in range(0, len(found), CHUNK):
            part = found[begin : begin + CHUNK]
            self._emit(
                "load_samples",
                load=self._load,
                numbers=[number for number, _ in part],
                delivered_ns=[at for _, at in part],
            )
            await asyncio.sleep(0)
        self._emit("load_samples", load=self._load, repeats=self._repeats, done=True)
