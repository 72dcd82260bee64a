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
