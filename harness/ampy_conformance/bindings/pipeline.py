"""Publishing with many records under way: what a producer is that does not wait for each answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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


@dataclass(eq=False, slots=True)
class Sent:
    """A record under way; called with what the broker says of it.

    One small object each, where a closure is nine that the collector of garbage looks at.
    """

    pipeline: Pipeline
    outgoing: Outgoing
    future: asyncio.Future[str]
    attempt: int

    def __call__(self, answer: str | Exception) -> None:
        """Take the position at which the record is stored, or why it is not."""
        if isinstance(answer, Exception):
            self.pipeline.failed(self, answer)
        elif not self.future.done():
            self.pipeline.stored(self.outgoing)
            self.future.set_result(answer)


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
        sent = Sent(self, outgoing, future, attempt)
        try:
            await self._transport.send(
                outgoing.topic, outgoing.headers, outgoing.payload, outgoing.message_id, sent
            )
        except (Refusal, Unknown) as error:
            self.failed(sent, error)

    def stored(self, outgoing: Outgoing) -> None:
        """Count a record that the broker has."""
        self._meter.produced(outgoing.topic, self._builder.identity.name, len(outgoing.payload))

    def failed(self, sent: Sent, error: Exception) -> None:
        """Try again, under the same id, or give up (RTY-01 to RTY-04)."""
        outgoing, future, attempt = sent.outgoing, sent.future, sent.attempt
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
