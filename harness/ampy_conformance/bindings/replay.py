"""Replay: ReplayRequests from the control topic, answered out of the log (section 10).

The log is read from its start to where it ended when the request came, by a reader of its own:
live checkpoints do not move and a replay cannot meet its own output. Records go to the handler
one after the other, so that the same request gives the same order (RPL-09), and pass the same
deduplication as live ones, so that applied effects stay single (RPL-04).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections import deque
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.records import fold
from ampy_conformance.bindings.state import key_scope
from ampy_conformance.bindings.transport import Refusal, Unknown, acknowledged
from ampy_conformance.contract import payloads, topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ampy_conformance.bindings.admission import Admission
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.store import Store
    from ampy_conformance.bindings.subscription import Subscription
    from ampy_conformance.bindings.transport import Membership, Transport
    from ampy_conformance.contract import Contract

REQUEST = "ampy.control.v1.ReplayRequest"
AT_A_TIME = 16  # records of a replay that are judged and handed over together
CLOCKS_APART = 3600.0  # seconds by which a producer's clock may be ahead of the broker's


def control_topic(env: str) -> str:
    """Return where ReplayRequests of an env travel (TOP-15)."""
    return f"ampy.{env}.control.v1.replay_requests"


class ReplayService:
    """Answers the requests of one env for one subscription."""

    def __init__(
        self,
        contract: Contract,
        env: str,
        transport: Transport,
        subscription: Subscription,
        store: Store,
        admission: Admission,
    ) -> None:
        self.contract = contract
        self.env = env
        self.subscription = subscription
        self._transport = transport
        self._store = store
        self._admission = admission
        self._types = payloads.types(contract)
        self._membership: Membership | None = None
        self._requests: asyncio.Queue[Record] = asyncio.Queue()
        self._open: list[Record] = []
        self._task = asyncio.ensure_future(self._serve())

    async def begin(self, group: str, member: str, pattern: str, every: float) -> None:
        """Join the control topic: one member of the group carries out each request."""
        self.pattern = pattern
        self._every = every
        self._membership = await self._transport.join(
            self.control(), f"{group}-replay", member, "latest", self._taken
        )

    def control(self) -> str:
        """Return the topic whose requests are answered."""
        return control_topic(self.env)

    def _taken(self, record: Record) -> None:
        if all(each.position != record.position for each in self._open):
            self._open.append(record)
            self._requests.put_nowait(record)

    async def _serve(self) -> None:
        while True:
            record = await self._requests.get()
            work = asyncio.ensure_future(self._answer(record))
            while not work.done():
                assert self._membership is not None
                await self._membership.progress(self._open)
                await asyncio.wait([work], timeout=self._every)
            if work.exception() is not None:
                await asyncio.sleep(self._every)
                self._requests.put_nowait(record)
                continue
            self._open.remove(record)
            assert self._membership is not None
            await acknowledged(self._membership, record)

    async def _answer(self, record: Record) -> None:
        record.known = fold(record.headers)
        reason = self._admission.refusal(record)
        if reason is None:
            record.body = self._admission.body(record)
            request: Any = self._types.decode(record.known["schema_fqdn"], record.body)
            if request.domain not in self.contract.domains:
                reason = "contract_violation: the request names no domain"
            elif not self._store.replayed(request.request_id):
                await self.replay(request)
                self._store.mark_replayed(request.request_id)
        if reason is not None:
            await self.subscription.bury_request(record, reason)

    async def replay(self, request: Any) -> None:
        """Hand the records in scope to the handler, and wait until all of them are settled.

        They come a few at a time, and as much time as these took is left to what is live behind
        them: neither waits for thousands to be judged, nor for a loop that is never free (RPL-11).
        """
        loop = asyncio.get_running_loop()
        records = deque(self.ordered(await self._read(request)))
        while records:  # let go as they are done: to free all at once holds up what is live, too
            few = [records.popleft() for _ in range(min(AT_A_TIME, len(records)))]
            begun = loop.time()
            wanted = [each for each in few if self.in_scope(each, request)]
            for each in wanted:
                each.replay = request.request_id
            self.subscription.take(wanted)
            await self._settled(request.request_id)
            await asyncio.sleep(loop.time() - begun)

    async def _settled(self, request: str) -> None:
        """Wait until no record of a request is held any more; lets others have their turn."""
        await asyncio.sleep(0)
        while any(each.replay == request for each in self.subscription.core.held):  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def _read(self, request: Any) -> list[Record]:
        """Read the log from where records of the window can be: none is stored before it is made."""
        since = request.start.ToDatetime(dt.UTC).timestamp() if request.HasField("start") else None
        if since is not None:
            since = max(0.0, since - CLOCKS_APART)
        return await self._transport.read(self.source(request), since)

    # -- decisions, one method each -----------------------------------------------------

    def source(self, request: Any) -> str:
        """Return the pattern of the topics that are read: never outside of the env (RPL-10)."""
        version, rest = request.version or "v1", request.subtopic or ">"
        return f"ampy.{self.env}.{request.domain}.{version}.{rest}"

    def ordered(self, records: Iterable[Record]) -> list[Record]:
        """Return the records in the order in which they are replayed: that of the log."""
        return list(records)

    def in_scope(self, record: Record, request: Any) -> bool:
        """Tell whether a record is in the window, in the key scope, and of this subscription."""
        record.known = fold(record.headers)
        if not topics.matches(self.pattern, record.topic) or self._admission.refusal(record):
            return False
        record.body = self._admission.body(record)
        if not (self.in_window(record, request) and self.in_key_scope(record, request)):
            return False
        record.ids = self._admission.ids(record)  # judged, and need not be once more
        return True

    def in_window(self, record: Record, request: Any) -> bool:
        """Tell whether `produced_at` is in `[start, end)`; a bound that is absent bounds nothing."""
        at = dt.datetime.fromisoformat(record.known["produced_at"])
        if request.HasField("start") and at < request.start.ToDatetime(dt.UTC):
            return False
        return not (request.HasField("end") and at >= request.end.ToDatetime(dt.UTC))

    def in_key_scope(self, record: Record, request: Any) -> bool:
        """Tell whether a record is of the entity that the request names (RPL-03)."""
        wanted = dict(request.key)
        return not wanted or key_scope(self.contract, record, wanted)

    async def close(self) -> None:
        """Leave the control topic."""
        self._task.cancel()
        if self._membership is not None:
            with contextlib.suppress(Refusal, Unknown):
                await self._membership.give_back(self._open)
                await self._membership.leave()
