"""Payload types: message classes from the contract's descriptor set, and nothing else.

`spec/descriptors.binpb` holds the types of ampy-proto and our ReplayRequest (A-16), so that
neither the package nor a protobuf compiler is needed to judge a payload. The classes live in a
pool of their own: an application that has ampy-proto loaded is not disturbed.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError as _DecodeError
from google.protobuf.message import EncodeError as _EncodeError
from google.protobuf.message import Message

from ampy_conformance.contract.registry import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ampy_conformance.contract.model import Contract, Domain

DESCRIPTORS = "descriptors.binpb"


class UnknownType(ValueError):
    """There is no such payload type in the contract (HDR-05, SER-02)."""


class DecodeError(ValueError):
    """The bytes are no message of the type (SER-01); payload content is never quoted."""


class BuildError(ValueError):
    """The data is not the protobuf JSON form of the type; its content is never quoted."""


class PayloadTypes:
    """The payload types of one contract; `domain_of` also knows the aliases of A-15."""

    def __init__(self, contract: Contract) -> None:
        self._pool = _pool(contract.root / DESCRIPTORS)
        self._classes: dict[str, type[Message]] = {}
        self._aliases = {
            alias: real
            for each in contract.domains.values()
            for alias, real in each.aliases.items()
        }
        self.domain_of: dict[str, Domain] = {
            name: each
            for each in contract.domains.values()
            for name in (*each.payloads, *each.aliases)
        }

    def resolve(self, name: str) -> tuple[str, bool]:
        """Return the real type of a name, and whether the name is an alias (A-15).

        Raises `UnknownType`, also for helper types such as a `Meta`, which are no payloads.
        """
        real = self._aliases.get(name, name)
        if real not in self.domain_of:
            raise UnknownType(f"{name[:120]!r} is no payload type of the contract")
        return real, real != name

    def of(self, name: str) -> type[Message]:
        """Return the message class of a type or alias; raises `UnknownType`."""
        found = self._classes.get(name)
        if found is None:
            real, _ = self.resolve(name)
            try:
                found = message_factory.GetMessageClass(self._pool.FindMessageTypeByName(real))
            except KeyError as error:
                sentence = f"domains.yaml names {real}, which {DESCRIPTORS} does not hold"
                raise SpecError(f"{sentence}; run 'ampy-conform golden build'") from error
            self._classes[name] = found
        return found

    def decode(self, name: str, data: bytes) -> Message:
        """Parse bytes as a message of this type; raises `UnknownType` or `DecodeError`."""
        try:
            return self.of(name).FromString(data)
        except (_DecodeError, UnicodeDecodeError, RecursionError):
            # "from None": the parser's own words may quote what the payload holds (OBS-12).
            raise DecodeError(f"{len(data)} bytes are no {name}") from None

    def build(self, name: str, fields: Mapping[str, Any]) -> Message:
        """Build a message from its protobuf JSON form; raises `UnknownType` or `BuildError`."""
        kind = self.of(name)
        try:
            return json_format.ParseDict(dict(fields), kind(), descriptor_pool=self._pool)
        except (json_format.Error, _EncodeError, ValueError, TypeError, AttributeError) as error:
            what = f"the data is not the JSON form of a {name}"
            raise BuildError(f"{what} ({type(error).__name__})") from None
        except RecursionError:
            raise BuildError(f"the data is nested too deep for a {name}") from None

    def view(self, message: Message) -> dict[str, Any]:
        """Return the readable JSON form of a message, with the field names of the schema."""
        view: dict[str, Any] = json_format.MessageToDict(
            message, preserving_proto_field_name=True, descriptor_pool=self._pool
        )
        return view


def serialize(message: Message) -> bytes:
    """Return the bytes of a message, maps in a fixed order."""
    return bytes(message.SerializeToString(deterministic=True))


@functools.cache
def types(contract: Contract) -> PayloadTypes:
    """Return the payload types of a contract; raises `SpecError` without its descriptors."""
    return PayloadTypes(contract)


def _pool(path: Path) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    try:
        for each in descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file:
            pool.Add(each)
    except OSError as error:
        sentence = f"cannot read {path}: {error.strerror}"
        raise SpecError(f"{sentence}; make it with 'ampy-conform golden build'") from error
    except (_DecodeError, TypeError, ValueError) as error:
        raise SpecError(f"{path} is no descriptor set; make it again") from error
    return pool


def elements(domain: Domain, name: str, message: Message) -> list[Message]:
    """Return the entities that a payload carries: a batch's elements, or the message itself."""
    batch = domain.batches.get(name)
    found = list(getattr(message, batch)) if batch else [message]
    if not domain.wrappers:
        return found
    return [_unwrap(domain, each) for each in found]


def _unwrap(domain: Domain, message: Message) -> Message:
    for each in domain.wrappers.get(message.DESCRIPTOR.full_name, ()):
        if message.HasField(each):
            inner: Message = getattr(message, each)
            return inner
    return message
