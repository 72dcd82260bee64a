"""Dead letters: the original, whole, with a reason (DLQ-05 to DLQ-08, DLQ-12)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record

ROUTER = "ampy-reference-dlq@1"


class DeadLetters:
    """Makes the dead letter of a record."""

    def topic(self, record: Record) -> str:
        """Return the DLQ topic in the env of the original (TOP-16, DLQ-08)."""
        tokens = record.topic.split(".")
        return f"ampy.{tokens[1]}.dlq.v1.{tokens[2]}"

    def headers(self, record: Record) -> dict[str, str]:
        """Return the original headers unchanged, and what the DLQ adds (A-06, A-08, A-09)."""
        return {
            **record.headers,
            "dlq_reason": record.reason,
            "original_topic": record.topic,
            "payload_hash": f"sha256:{hashlib.sha256(record.payload).hexdigest()}",
            "dlq_router": ROUTER,
        }

    def payload(self, record: Record) -> bytes:
        """Return the bytes as they were on the wire."""
        return record.payload
