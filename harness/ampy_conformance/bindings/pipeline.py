"""Publishing with many records under way: what a producer is that does not wait for each answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.transport import Refusal, Unknown

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
    from ampy_conformance.bindings.meter import Meter
    from ampy_conformance.bindings.pressure import Pressure
    from ampy_conformance.bindings.retry import RetryPolicy
    from ampy_conformance.bindings.transport import Transport


class Pipeline:
    """One producer's records on their way, without a task for each.

    Records of a key are stored in the order of the calls, as long as the broker takes them: one
    that has to be tried again comes behind those that were under way. Who cannot have that waits
    for each answer.
    """

    def __init__(
        self,
        transport: Transport,
        builder: EnvelopeBuilder,
        pressure: Pressure,
        policy: RetryPolicy,
        meter: Meter,
        random: random.Random,
    ) -> None:
        self._transport = transport
        self._builder = builder
        self._pressure = pressure
        self._policy = policy
        self._meter = meter
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._retries: set[asyncio.Task[None]] = set()

    async def submit(self, record: Mapping[str, Any]) -> asyncio.Future[str]:
        """Send a record; the future returned tells its position, or raises `Refusal` or `Unknown`.

        Returns when the record is on its way. Raises `Invalid` for what is no record, `Refusal`
        where consumers are behind and it may not be sent.
        """
        outgoing = self._builder.build(record)
        if self._pressure.raised:
            await self._pressure.gate(outgoing.topic.split(".")[2])
        future: asyncio.Future[str] = self._loop.create_future()
        await self._send(outgoing, future, 1)
        return future

    async def _send(self, outgoing: Outgoing, future: asyncio.Future[str], attempt: int) -> None:
        def answered(answer: str | Exception) -> None:
            if isinstance(answer, Exception):
                self._failed(outgoing, future, attempt, answer)
            elif not future.done():
                meter = self._meter
                meter.produced(outgoing.topic, self._builder.identity.name, len(outgoing.payload))
                future.set_result(answer)

        try:
            await self._transport.send(
                outgoing.topic, outgoing.headers, outgoing.payload, outgoing.message_id, answered
            )
        except (Refusal, Unknown) as error:
            self._failed(outgoing, future, attempt, error)

    def _failed(
        self, outgoing: Outgoing, future: asyncio.Future[str], attempt: int, error: Exception
    ) -> None:
        """Try again, under the same id, or give up (RTY-01 to RTY-04)."""
        if future.done():
            return
        qos = self._builder.contract.domains[outgoing.topic.split(".")[2]].qos
        if self._policy.exhausted(attempt, qos):
            future.set_exception(error)
            return
        self._meter.retried(outgoing.topic, "publish")

        async def again() -> None:
            await asyncio.sleep(self._policy.delay(attempt, self._random))
            await self._send(outgoing, future, attempt + 1)

        task = asyncio.ensure_future(again())
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)
