"""Redrive: dead letters go back to where they came from, once somebody has mended the cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.records import fold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.transport import Transport

# What the dead letter has and the original had not.
ADDED = ("dlq_reason", "original_topic", "payload_hash", "dlq_router")


class Redrive:
    """Publishes dead letters again: same id, same payload, one retry more (DLQ-13, A-24)."""

    async def run(self, transport: Transport, pattern: str, limit: int) -> int:
        """Redrive the oldest dead letters under a pattern; returns how many.

        One that does not tell where it came from stays where it is. Raises `Refusal`, `Unknown`.
        """
        done = 0
        for letter in await transport.read(pattern):
            letter.known = fold(letter.headers)
            topic = self.topic(letter)
            if topic is None or done == limit:
                continue
            await transport.publish(topic, self.headers(letter), letter.payload, None)
            done += 1
        return done

    def topic(self, letter: Record) -> str | None:
        """Return the topic of the original (A-08)."""
        return letter.known.get("original_topic")

    def headers(self, letter: Record) -> Mapping[str, str]:
        """Return the original's headers, its retries counted up from none (A-24)."""
        kept = {
            name: value
            for name, value in letter.headers.items()
            if name.lower() not in (*ADDED, "retry_count")
        }
        return {**kept, "retry_count": str(int(letter.known.get("retry_count", "0")) + 1)}
