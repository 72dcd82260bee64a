"""The NATS transport on a real server: what it asks for is what a connection bears."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from ampy_conformance import broker as brokers
from ampy_conformance.bindings.nats_transport import NatsTransport
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
        if not found:
            time.sleep(3)  # what the server owes meanwhile waits in its memory
        found.append(record.position)
        again += record.redelivered
        if len(found) == MANY:
            all_there.set()

    member = await transport.join("ampy.dev.bars.v1.>", lane.group("slow"), "m", "earliest", taken)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(all_there.wait(), REDELIVERY / 2)
    await member.leave()
    await transport.close()
    return found, again
