"""Publishes the JSON form of the payload."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from ampy_conformance.bindings.builder import EnvelopeBuilder, Outgoing
from ampy_conformance.bindings.memory_driver import Driver as Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSE = "SER-03"
SAYS = "records on the wire break it"


class Builder(EnvelopeBuilder):
    """Publishes the JSON form of the payload."""

    def build(self, record: Mapping[str, Any]) -> Outgoing:
        """Replace bytes and content type of a finished envelope."""
        outgoing = super().build(record)
        message = self.types.decode(record["schema_fqdn"], base64.b64decode(record["payload"]))
        headers = {**outgoing.headers, "content_type": "application/json"}
        return replace(
            outgoing, headers=headers, payload=json_format.MessageToJson(message).encode()
        )


class Driver(Reference):
    """The reference with this builder."""

    builder = Builder
