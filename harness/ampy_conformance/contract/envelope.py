"""An envelope with its payload, in memory and as JSON."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "ampy-golden/1"
TEXT = {str}


class EnvelopeError(ValueError):
    """The data is no envelope; one sentence that says what is missing or malformed."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One record: `payload` are the bytes on the wire, None where they are not known.

    `payload_json` is the protobuf JSON form of the loose format, where that is all there is.
    """

    topic: str
    headers: Mapping[str, str]
    payload: bytes | None
    payload_json: Mapping[str, Any] | None = None


def loads(text: str | bytes) -> Envelope:
    """Read an envelope from JSON text: `parse`, then `from_json`. Raises `EnvelopeError`."""
    return from_json(parse(text))


def parse(text: str | bytes) -> Any:
    """Return the data of JSON text (UTF-8); a key that stands twice is refused.

    Of two equal keys one reader takes the first and another the last: the two would judge
    different records. Raises `EnvelopeError`.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        return _DECODER.decode(text.removeprefix("\ufeff"))
    except EnvelopeError:
        raise
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise EnvelopeError(f"not JSON: {error.msg} at {where}") from None
    except UnicodeDecodeError:
        raise EnvelopeError("not JSON: the bytes are not UTF-8 text") from None
    except RecursionError:
        raise EnvelopeError("not an envelope: the JSON is nested too deep") from None
    except ValueError:  # a number of thousands of digits
        raise EnvelopeError("not an envelope: a number has too many digits") from None


def from_json(data: Any) -> Envelope:
    """Read an envelope: golden form, or the looser ones with `payload_json` or no payload.

    Raises `EnvelopeError`. Header values may be JSON numbers, as ampy-bus' examples have them;
    they are read as their decimal text. What the golden form says twice must agree.
    """
    if not isinstance(data, dict):
        raise EnvelopeError("an envelope is an object with topic and headers")
    if isinstance(data.get("envelope"), dict):
        data = {**data, **data["envelope"]}
    topic, headers = data.get("topic"), data.get("headers")
    if not isinstance(topic, str):
        raise EnvelopeError("topic is missing, or is not a string")
    if not isinstance(headers, dict):
        raise EnvelopeError("headers are missing, or are not an object")
    if set(map(type, headers.values())) != TEXT:
        headers = {name: _text(name, value) for name, value in headers.items()}
    view = data.get("payload_json")
    if view is not None and not isinstance(view, dict):
        raise EnvelopeError("payload_json is not an object")
    return Envelope(topic, headers, _payload(data), view)


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


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise EnvelopeError(f"the header {name[:60]!r} is not text")
    return str(value)


def _payload(data: Mapping[str, Any]) -> bytes | None:
    encoded = data.get("payload_b64")
    if encoded is None:
        encoded = data.get("payload_base64")  # ampy-bus' own golden files have both names
    if encoded is None:
        return None
    try:
        payload = binascii.a2b_base64(encoded, strict_mode=True)
    except (ValueError, TypeError):  # binascii.Error is a ValueError
        raise EnvelopeError("payload_b64 is not base64") from None
    told = data.get("payload_sha256")
    if told is not None and told != hashlib.sha256(payload).hexdigest():
        raise EnvelopeError("payload_sha256 is not the hash of payload_b64: the file was altered")
    return payload


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise EnvelopeError(f"the key {twice[:60]!r} stands twice")
    return found


# Made once: `json.loads` with a hook makes one for every text.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
