"""How fast the reference bindings publish and consume, beside the raw client on the same wire.

In one process and one run, raw, binding and a third side take turns (A B C C B A): what slows the
machine down slows all. Publishing is pipelined, with the same number of records under way; consuming ends
when every acknowledgement is confirmed. CPU is that of this process, client threads included.
The third side is the raw client with the least that any binding has to do.

    python harness/benchmarks/binding_rate.py [nats|kafka ...] [--rounds 6] [--jobs publish consume] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raw_clients import LEAST, RAW, WINDOW

from ampy_conformance import broker as brokers
from ampy_conformance import contract as contracts
from ampy_conformance.bindings.kafka_driver import Driver as KafkaDriver
from ampy_conformance.bindings.nats_driver import Driver as NatsDriver
from ampy_conformance.broker.kafka_server import KafkaServer
from ampy_conformance.contract.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ampy_conformance.broker.facts import Broker, Lane

SIZES = {300: 10000, 65536: 1000}  # bytes of payload: records a turn
ENTITIES = 64
IN_FLIGHT = 1024
PATTERN = "ampy.dev.bars.v1.>"
DRIVERS = {"nats": NatsDriver, "kafka": KafkaDriver}


class Binding:
    """The reference binding in this process, without the driver protocol."""

    def __init__(self, kind: str) -> None:
        self._driver: Any = DRIVERS[kind](lambda _: None)
        self._window = WINDOW[kind]

    async def begin(self, lane: Lane) -> None:
        self._lane = lane
        self._folder = tempfile.TemporaryDirectory(prefix="ampy-bench-")
        frame = {"bus": "b", "url": lane.url, "names": lane.names, "env": "dev"}
        tuning = {"max_in_flight": IN_FLIGHT}
        await self._driver.open({**frame, "state_dir": self._folder.name, "tuning": tuning})
        producer = {
            "bus": "b",
            "producer": "p",
            "name": "bench@1",
            "source": "bench",
            "run_id": "r",
        }
        await self._driver.open_producer(producer)

    def ready(self, records: Sequence[Any]) -> list[Any]:
        return list(records)

    async def publish(self, ready: list[Any]) -> None:
        pipeline = self._driver.pipeline("p")
        waiting: deque[asyncio.Future[str]] = deque()
        for each in ready:
            if len(waiting) >= self._window:
                await waiting.popleft()
            waiting.append(await pipeline.submit(each))
        while waiting:
            await waiting.popleft()

    async def consume(self, pattern: str, count: int) -> None:
        driver, loop = self._driver, asyncio.get_running_loop()
        done, left = asyncio.Event(), count
        verdicts: list[tuple[str, str]] = []
        tasks: set[asyncio.Future[Any]] = set()

        async def confirmed(settled: list[Any]) -> None:
            nonlocal left
            for record, future in settled:
                assert record is not None
                if future is not None:
                    await future
            left -= len(settled)
            if not left:
                done.set()

        def settle() -> None:
            taken = verdicts.copy()
            verdicts.clear()
            task = asyncio.ensure_future(confirmed(driver.subscriptions["s"].settle(taken)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def handle(_: str, record: Any) -> None:
            if not verdicts:
                loop.call_soon(settle)
            verdicts.append((record.delivery, "ack"))

        driver._hand_over = handle
        await driver.subscribe(
            {
                "bus": "b",
                "subscription": "s",
                "pattern": pattern,
                "group": self._lane.group(f"ours-{uuid.uuid4().hex}"),
                "member": "m",
                "start": "earliest",
                "credit": IN_FLIGHT,
            }
        )
        await done.wait()

    async def end(self) -> None:
        await self._driver.stop({})
        self._folder.cleanup()


@dataclass
class Turn:
    """One turn of one side: seconds, and CPU seconds of this process, a record."""

    wall: float
    cpu: float


async def turn(side: Any, job: str, ready: list[Any], profile: Any = None) -> Turn:
    """Let a side publish the records, or consume those that are there."""
    gc.collect()
    gc.freeze()  # the prepared records are nobody's cost
    if profile:
        profile.enable()
    wall, cpu = time.perf_counter(), time.process_time()
    if job == "publish":
        await side.publish(ready)
    else:
        await side.consume(PATTERN, len(ready))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if profile:
        profile.disable()
    gc.unfreeze()
    return Turn(wall / len(ready), cpu / len(ready))


def records_of(contract: Any, size: int, count: int) -> list[dict[str, Any]]:
    """Return logical records, each different, as a producer is given them."""
    samples = Samples(contract, seed=size)
    found = []
    for number in range(count):
        each = samples.record("bars", entity=number % ENTITIES, size=size)
        found.append(
            {
                "topic": each.topic,
                "schema_fqdn": each.schema_fqdn,
                "payload": each.payload,
                "key": each.key,
            }
        )
    return found


async def measure(
    kind: str, broker: Broker, job: str, size: int, rounds: int, scale: float, profile: Any = None
):
    contract = contracts.load()
    records = records_of(contract, size, int(SIZES[size] * scale))
    names = ["raw", "binding", "least"]
    turns: dict[str, list[Turn]] = {each: [] for each in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            lane = broker.lane()
            lane.untap()  # what the suite notes of every record would be measured
            raw = (LEAST if name == "least" else RAW)[kind]()
            await raw.begin(lane)
            helper = Binding(kind)
            _, builder = await opened(helper, lane)
            built = [builder.build(each) for each in records]
            side: Any = helper if name == "binding" else raw
            given = built if name == "raw" else records
            try:
                if job == "consume":
                    await raw.publish(raw.ready(records if name == "least" else built))
                else:  # connections warm, topics known
                    await side.publish(side.ready(given[:200]))
                    built = [builder.build(each) for each in records]
                ready = side.ready(built if name == "raw" else records)
                taken = await turn(side, job, ready, profile if name == "binding" else None)
                turns[name].append(taken)
            finally:
                await helper.end()
                await raw.end()
                lane.close()  # its connection would look for the broker long after its end
    return turns


async def opened(helper: Binding, lane: Lane) -> Any:
    await helper.begin(lane)
    return helper._driver.producers["p"]


def interval(values: Sequence[float], draws: int = 2000) -> tuple[float, float, float]:
    """Return the median and its 95 % bootstrap interval."""
    dice = random.Random(1)
    found = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(draws))
    return statistics.median(values), found[int(draws * 0.025)], found[int(draws * 0.975)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=["nats", "kafka"])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--jobs", nargs="*", default=["publish", "consume"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    contract = contracts.load()
    for kind in options.kinds:
        server = KafkaServer() if kind == "kafka" else None
        url = f"kafka://127.0.0.1:{server.port}" if server else None
        broker = brokers.provision(
            kind, domains=list(contract.domains), url=url, dedicated=bool(url)
        )
        try:
            for job in options.jobs:
                for size in options.sizes:
                    profile = cProfile.Profile(time.thread_time) if options.profile else None
                    turns = asyncio.run(
                        measure(kind, broker, job, size, options.rounds, options.scale, profile)
                    )
                    show(kind, job, size, turns)
                    if profile:
                        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(
                            45
                        )
        finally:
            broker.stop()
            if server:
                server.stop()


def show(kind: str, job: str, size: int, turns: dict[str, list[Turn]]) -> None:
    ratio = {
        name: interval([r.wall / b.wall for r, b in zip(turns["raw"], each, strict=True)])
        for name, each in turns.items()
    }
    cpu = {name: statistics.median(t.cpu for t in each) * 1e6 for name, each in turns.items()}
    own = {
        name: interval([(b.cpu - r.cpu) * 1e6 for r, b in zip(turns["raw"], each, strict=True)])
        for name, each in turns.items()
    }
    rate = {n: 1 / statistics.median(t.wall for t in each) for n, each in turns.items()}
    print(
        f"{kind:<6}{job:<8}{size:>6} B  raw {rate['raw']:>8,.0f}/s  binding {rate['binding']:>8,.0f}/s  "
        f"ratio {said(ratio['binding'], 2)}  cpu raw {cpu['raw']:.1f} us, "
        f"binding {cpu['binding']:.1f} us, own {said(own['binding'])}"
        f", at least {said(own['least'])} (ratio {said(ratio['least'], 2)})",
        flush=True,
    )


def said(each: tuple[float, float, float], digits: int = 1) -> str:
    middle, low, high = (f"{one:.{digits}f}" for one in each)
    return f"{middle} [{low}, {high}]"


if __name__ == "__main__":
    main()
