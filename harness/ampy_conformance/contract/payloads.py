"""Payload types: message classes from the contract's descriptor set, and nothing else.

`spec/descriptors.binpb` holds the types of ampy-proto and our ReplayRequest (A-16), so that
neither the package nor a protobuf compiler is needed to judge a payload.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError as _DecodeError
from google.protobuf.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.contract.model import Contract, Domain

DESCRIPTORS = "descriptors.binpb"


class UnknownType(ValueError):
    """There is no such payload type in the contract."""


class DecodeError(ValueError):
    """The bytes are no message of the type; payload content is never quoted."""


class PayloadTypes:
    """The payload types of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        raw = (contract.root / DESCRIPTORS).read_bytes()
        for each in descriptor_pb2.FileDescriptorSet.FromString(raw).file:
            self._pool.Add(each)
        self._classes: dict[str, type[Message]] = {}
        self._aliases = {
            alias: real for each in contract.domains.values() for alias, real in each.aliases.items()
        }
        self.domain_of: dict[str, Domain] = {
            name: each
            for each in contract.domains.values()
            for name in (*each.payloads, *each.aliases)
        }

    def resolve(self, name: str) -> tuple[str, bool]:
        """Return the real type of a name, and whether the name is an alias (A-15)."""
        real = self._aliases.get(name, name)
        if real not in self.domain_of:
            raise UnknownType(f"{name!r} is no payload type of the contract")
        return real, real != name

    def of(self, name: str) -> type[Message]:
        """Return the message class of a type or alias."""
        found = self._classes.get(name)
        if found is None:
            real, _ = self.resolve(name)
            found = message_factory.GetMessageClass(self._pool.FindMessageTypeByName(real))
            self._classes[name] = found
        return found

    def decode(self, name: str, data: bytes) -> Message:
        """Parse bytes as a message of this type."""
        try:
            return self.of(name).FromString(data)
        except (_DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(f"{len(data)} bytes are no {name}") from error

    def build(self, name: str, fields: Mapping[str, Any]) -> Message:
        """Build a message from its protobuf JSON form."""
        return json_format.ParseDict(dict(fields), self.of(name)(), descriptor_pool=self._pool)

    def view(self, message: Message) -> dict[str, Any]:
        """Return the readable JSON form of a message."""
        view: dict[str, Any] = json_format.MessageToDict(
            message, preserving_proto_field_name=True, descriptor_pool=self._pool
        )
        return view


def serialize(message: Message) -> bytes:
    """Return the bytes of a message, maps in a fixed order."""
    return bytes(message.SerializeToString(deterministic=True))


@functools.cache
def types(contract: Contract) -> PayloadTypes:
    """Return the payload types of a contract."""
    return PayloadTypes(contract)


def elements(domain: Domain, name: str, message: Message) -> list[Message]:
    """Return the entities that a payload carries: a batch's elements, or the message itself."""
    batch = domain.batches.get(name)
    found = list(getattr(message, batch)) if batch else [message]
    return [_unwrap(domain, each) for each in found]


def _unwrap(domain: Domain, message: Message) -> Message:
    for each in domain.wrappers.get(message.DESCRIPTOR.full_name, ()):
        if message.HasField(each):
            inner: Message = getattr(message, each)
            return inner
    return message
