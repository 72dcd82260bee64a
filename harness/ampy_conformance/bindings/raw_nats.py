"""nats-py and nothing else: the control of the load tests on NATS JetStream."""

from __future__ import annotations

import contextlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import nats
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from ampy_conformance.bindings.raw import RawDriver, identity
from ampy_conformance.bindings.transport import Unknown, stream_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from ampy_conformance.kit.base import Frame

WAIT = 5.0


class Driver(RawDriver):
    """Publishes asynchronously, consumes by a push consumer, acknowledges every record."""

    identity: ClassVar[dict[str, str]] = identity("nats", f"nats-py {version('nats-py')}")
    troubles: ClassVar[tuple[type[Exception], ...]] = (NatsError, OSError, TimeoutError)
    refusals: ClassVar[tuple[type[Exception], ...]] = (APIError,)
    client: Client | None = None

    async def _connect(self, frame: Frame) -> None:
        self.subscriptions: dict[str, Any] = {}
        self.names = frame["names"]
        try:
            self.client = await nats.connect(
                frame["url"],
                max_reconnect_attempts=0,
                pending_size=64 * 1024 * 1024,
                error_cb=_quiet,
            )
        except (OSError, NatsError, TimeoutError) as error:
            raise Unknown("not_connected", type(error).__name__) from error
        self.js = self.client.jetstream(timeout=WAIT, publish_async_max_pending=16_384)

    async def _send(
        self,
        topic: str,
        headers: dict[str, str],
        body: bytes,
        key: str,  # noqa: ARG002 (a subject is all that NATS knows)
    ) -> asyncio.Future[Any]:
        headers["Nats-Msg-Id"] = headers["message_id"]
        return await self.js.publish_async(topic, body, headers=headers)

    async def _join(self, frame: Frame, taken: Callable[[bytes], None]) -> None:
        async def message(each: Msg) -> None:
            taken(each.data)
            await each.ack()

        start = DeliverPolicy.ALL if frame["start"] == "earliest" else DeliverPolicy.NEW
        self.subscriptions[frame["subscription"]] = await self.js.subscribe(
            frame["pattern"],
            stream=self.names[stream_of(frame["pattern"])],
            durable=frame["group"],
            cb=message,
            manual_ack=True,
            pending_msgs_limit=-1,
            pending_bytes_limit=-1,
            config=ConsumerConfig(deliver_policy=start, max_ack_pending=4096),
        )

    async def _part(self, handle: str) -> None:
        subscription = self.subscriptions.pop(handle, None)
        if subscription is not None:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()

    async def _leave(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                await client.close()


async def _quiet(_: Exception) -> None:
    """What goes wrong shows in the samples."""
