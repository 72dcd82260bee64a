"""An envelope with its payload, in memory and as JSON."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "ampy-golden/1"


class EnvelopeError(ValueError):
    """The data is no envelope; says what is missing."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One record: `payload` are the bytes on the wire, None where they are not known."""

    topic: str
    headers: Mapping[str, str]
    payload: bytes | None
    payload_json: Mapping[str, Any] | None = None


def from_json(data: Any) -> Envelope:
    """Read an envelope: golden form, or the looser ones with `payload_json` or no payload."""
    if not isinstance(data, dict):
        raise EnvelopeError("an envelope is an object with topic and headers")
    if isinstance(data.get("envelope"), dict):
        data = {**data, **data["envelope"]}
    topic, headers = data.get("topic"), data.get("headers")
    if not isinstance(topic, str):
        raise EnvelopeError("topic is missing, or is not a string")
    if not isinstance(headers, dict):
        raise EnvelopeError("headers are missing, or are not an object")
    kept = {}
    for name, value in headers.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise EnvelopeError(f"the header {name[:60]!r} is not text")
        kept[name] = value if isinstance(value, str) else str(value)
    encoded = data.get("payload_b64")
    payload = None
    if encoded is not None:
        try:
            payload = base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise EnvelopeError("payload_b64 is not base64") from error
    view = data.get("payload_json")
    if view is not None and not isinstance(view, dict):
        raise EnvelopeError("payload_json is not an object")
    return Envelope(topic, kept, payload, view)


def to_json(envelope: Envelope, **more: Any) -> dict[str, Any]:
    """Return the golden form of an envelope, with further fields behind its format."""
    payload = envelope.payload or b""
    return {
        "format": FORMAT,
        **more,
        "topic": envelope.topic,
        "headers": dict(envelope.headers),
        "payload_b64": base64.b64encode(payload).decode(),
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
        "size": len(payload),
    }
