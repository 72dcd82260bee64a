"""confluent-kafka and nothing else: the control of the load tests on Apache Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import Consumer, KafkaException, Producer

from ampy_conformance.bindings.kafka_cluster import Answers, address_of
from ampy_conformance.bindings.kafka_records import headers_of, short
from ampy_conformance.bindings.raw import RawDriver, identity
from ampy_conformance.bindings.transport import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ampy_conformance.kit.base import Frame

POLL = 0.05
BATCH = 256
JOINING = 20.0


class Driver(RawDriver):
    """An idempotent producer, and a consumer that commits after every batch."""

    identity: ClassVar[dict[str, str]] = identity(
        "kafka", f"confluent-kafka {version('confluent-kafka')}"
    )

    troubles: ClassVar[tuple[type[Exception], ...]] = (KafkaException, BufferError)

    async def _connect(self, frame: Frame) -> None:
        self.loop = asyncio.get_running_loop()
        self.answers = Answers(self.loop)
        self.ended = threading.Event()
        self.parted: dict[str, threading.Event] = {}
        self.threads: list[threading.Thread] = []
        self.settings: dict[str, Any] = {
            "bootstrap.servers": address_of(frame["url"]),
            "log_level": 0,
            "socket.nagle.disable": True,
        }
        self.producer = Producer(
            {**self.settings, "enable.idempotence": True, "acks": "all", "linger.ms": 1}
        )
        try:
            await asyncio.to_thread(self.producer.list_topics, timeout=JOINING)
        except KafkaException as error:
            raise Unknown("not_connected", "Kafka does not answer") from error

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self.threads.append(thread)

    async def _send(
        self, topic: str, headers: dict[str, str], body: bytes, key: str
    ) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = self.loop.create_future()

        def settle(said: str | Exception) -> None:
            if answer.done():
                return
            if isinstance(said, Exception):
                answer.set_exception(said)
            else:
                answer.set_result(said)

        self.producer.produce(
            short(topic),
            body,
            key,
            headers=headers_of(topic, headers),
            on_delivery=self.answers.delivery(settle),
        )
        self.answers.expect(self.producer)
        return answer

    async def _join(self, frame: Frame, taken: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        ready, parted = asyncio.Event(), threading.Event()
        self.parted[frame["subscription"]] = parted
        consumer = Consumer(
            {
                **self.settings,
                "group.id": frame["group"],
                "group.protocol": "consumer",
                "enable.auto.commit": False,
                "auto.offset.reset": frame["start"],
                "fetch.wait.max.ms": 100,
            }
        )

        def assigned(*_: object) -> None:
            loop.call_soon_threadsafe(ready.set)

        consumer.subscribe(
            [short(frame["pattern"])],
            on_assign=assigned,
        )

        def hand_over(bodies: list[bytes]) -> None:
            for each in bodies:
                taken(each)

        def consume() -> None:
            while not self.ended.is_set() and not parted.is_set():
                # With a time to wait `consume` waits for all of a batch: the first would be late.
                batch = consumer.consume(1, POLL)
                batch += consumer.consume(BATCH, 0) if batch else []
                good = [each for each in batch if each.error() is None]
                if not good or loop.is_closed():
                    continue
                loop.call_soon_threadsafe(hand_over, [each.value() or b"" for each in good])
                with contextlib.suppress(KafkaException):
                    consumer.commit(asynchronous=True)
            with contextlib.suppress(KafkaException, RuntimeError):
                consumer.close()

        self._run(consume)
        try:
            await asyncio.wait_for(ready.wait(), JOINING)
        except TimeoutError as error:
            raise Unknown("timeout", "Kafka gave the group no partition") from error

    async def _part(self, handle: str) -> None:
        self.parted.pop(handle, self.ended).set()

    async def _leave(self) -> None:
        if hasattr(self, "ended"):
            self.ended.set()
            for each in self.threads:
                await asyncio.to_thread(each.join, 5.0)
