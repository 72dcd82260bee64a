"""The NATS transport on a real server: what it asks for is what a connection bears."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from ampy_conformance import broker as brokers
from ampy_conformance.bindings import nats_transport
from ampy_conformance.bindings.nats_transport import NatsMembership, NatsTransport
from ampy_conformance.bindings.transport import Tuning

LARGE = 96 * 1024
MANY = 1000  # together more than the 64 MiB beyond which the server cuts a connection
REDELIVERY = 40.0


@pytest.fixture
def lane():
    broker = brokers.provision("nats", domains=["bars"])
    try:
        yield broker.lane()
    finally:
        broker.stop()


def test_a_member_that_reads_slowly_keeps_its_connection(lane):
    """Large records that it asked for, and does not read, come once, in order, and soon."""
    positions, again = asyncio.run(read_slowly(lane))
    assert positions == [str(n) for n in range(1, MANY + 1)]
    assert not again


async def read_slowly(lane) -> tuple[list[str], int]:
    tuning = Tuning(publish_timeout=10.0, redelivery=REDELIVERY, max_in_flight=1024)
    transport = NatsTransport()
    await transport.connect(lane.url, lane.names, tuning)
    for start in range(0, MANY, 50):
        await asyncio.gather(
            *(
                transport.publish("ampy.dev.bars.v1.XNAS.AAPL", {}, bytes(LARGE), f"{n}")
                for n in range(start, start + 50)
            )
        )
    found: list[str] = []
    again = 0
    all_there = asyncio.Event()

    def taken(record) -> None:
        nonlocal again
        found.append(record.position)
        again += record.redelivered
        if len(found) == MANY:
            all_there.set()

    member = await transport.join("ampy.dev.bars.v1.>", lane.group("slow"), "m", "earliest", taken)
    await asyncio.sleep(0.01)  # the request is out
    time.sleep(3)  # noqa: ASYNC251 (what the server owes meanwhile waits in its memory)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(all_there.wait(), REDELIVERY / 2)
    await member.leave()
    await transport.close()
    return found, again


class Wire:
    """A client that keeps what a membership asks the server for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def subscribe(self, _: str, cb: Any) -> None:
        self.hear = cb

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        assert subject.startswith("$JS.API.CONSUMER.MSG.NEXT.")
        assert reply
        self.asked.append(json.loads(payload))

    async def says(self, description: str) -> None:
        headers = {"Status": "409", "Description": description}
        await self.hear(SimpleNamespace(headers=headers, reply="", data=b""))
        await asyncio.sleep(0.02)


def test_a_request_that_is_used_up_is_not_mistaken_for_the_next_one():
    async def run() -> None:
        wire = Wire()
        member = NatsMembership(
            wire,
            None,
            "S",
            "c",
            "m",
            Tuning(max_in_flight=64),
            lambda _: None,  # type: ignore[arg-type]
        )
        await member.begin()
        await asyncio.sleep(0.02)
        await wire.says("Batch Completed")  # of the request before
        assert [each["batch"] for each in wire.asked] == [64]
        await wire.says("Message Size Exceeds MaxBytes")
        assert [each["batch"] for each in wire.asked] == [64, 1]
        assert ["max_bytes" in each for each in wire.asked] == [True, False]
        member._task.cancel()

    asyncio.run(run())


def told(description: str, messages: int, octets: int) -> SimpleNamespace:
    """Return the end of a request, with what it leaves over."""
    headers = {
        "Status": "409",
        "Description": description,
        "Nats-Pending-Messages": str(messages),
        "Nats-Pending-Bytes": str(octets),
    }
    return SimpleNamespace(headers=headers, reply="", data=b"")


def stored(number: int, size: int = 100) -> SimpleNamespace:
    """Return a record as JetStream hands it out, with more behind it."""
    reply = f"$JS.ACK.S.c.1.{number}.{number}.1700000000000000000.9999"
    return SimpleNamespace(headers={}, reply=reply, data=bytes(size), subject="ampy.dev.bars.v1.X")


async def pulling(limit: int) -> tuple[Wire, NatsMembership]:
    """Return a member that may have so many records open and has asked for the first time."""
    wire, tuning = Wire(), Tuning(max_in_flight=limit)
    member = NatsMembership(wire, None, "S", "c", "m", tuning, lambda _: None)  # type: ignore[arg-type]
    await member.begin()
    await asyncio.sleep(0.02)
    return wire, member


def test_more_is_asked_for_while_the_server_still_owes():
    """Else it has nothing to send for the time of a round trip, again and again."""

    async def run() -> None:
        wire, member = await pulling(64)
        assert [each["batch"] for each in wire.asked] == [64]
        for number in range(1, 33):
            assert len(wire.asked) == 1
            await wire.hear(stored(number))
            member._open.clear()  # it was acknowledged
            member._wake.set()
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert [each["batch"] for each in wire.asked] == [64, 32]
        member._task.cancel()

    asyncio.run(run())


def test_no_more_is_asked_for_than_may_be_open():
    async def run() -> None:
        wire, member = await pulling(8)
        for number in range(1, 9):  # nobody settles them
            await wire.hear(stored(number))
        await asyncio.sleep(0.02)
        assert [each["batch"] for each in wire.asked] == [8]
        member._task.cancel()

    asyncio.run(run())


def test_of_large_records_fewer_are_asked_for():
    async def run() -> None:
        wire, member = await pulling(1024)
        for number in range(1, 513):
            await wire.hear(stored(number, 1024 * 1024))
            member._open.clear()
        await wire.hear(told("Message Size Exceeds MaxBytes", 512, 100))
        await asyncio.sleep(0.02)
        member._task.cancel()
        first, *others = [each["batch"] for each in wire.asked]
        assert first == 1024
        assert others == [7]  # of a MiB and their headers each, in eight MiB

    asyncio.run(run())


def test_only_a_record_that_no_request_holds_is_asked_for_alone():
    async def run() -> None:
        wire, member = await pulling(64)
        most = wire.asked[0]["max_bytes"]
        await wire.hear(stored(1))
        await wire.hear(told("Message Size Exceeds MaxBytes", 63, most - 4096))
        await asyncio.sleep(0.02)
        assert wire.asked[-1]["batch"] > 1  # it was merely used up
        await wire.hear(told("Message Size Exceeds MaxBytes", wire.asked[-1]["batch"], most))
        await asyncio.sleep(0.02)
        assert wire.asked[-1]["batch"] == 1
        assert "max_bytes" not in wire.asked[-1]
        member._task.cancel()

    asyncio.run(run())


def test_a_record_larger_than_a_request_comes_between_the_others(lane, monkeypatch):
    """On a real server, whose word it is how much of a request was left over."""
    monkeypatch.setattr(nats_transport, "PULL_BYTES", 64 * 1024)
    sizes = [20_000] * 9 + [200_000] + [20_000] * 9 + [300_000, 200_000] + [100] * 200

    async def run() -> tuple[list[int], float]:
        transport, found = NatsTransport(), []
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        await transport.connect(lane.url, lane.names, Tuning(max_in_flight=64))
        for number, size in enumerate(sizes):
            await transport.publish("ampy.dev.bars.v1.XNAS.AAPL", {}, bytes(size), f"n{number}")
        member = await transport.join(
            "ampy.dev.bars.v1.>", lane.group("large"), "m", "earliest", arrived.put_nowait
        )
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                while len(found) < len(sizes):
                    record = await arrived.get()
                    found.append(len(record.payload))
                    await member.ack([record], lambda *_: None)
        took = time.monotonic() - began
        await member.leave()
        await transport.close()
        return found, took

    found, took = asyncio.run(run())
    assert found == sizes
    assert took < nats_transport.PULL_EXPIRES  # no request had to run out
