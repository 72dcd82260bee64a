"""The contract as frozen facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ampy_conformance.contract.registry import Ambiguity, Clause, Profile
    from ampy_conformance.contract.services import Services


@dataclass(frozen=True)
class Header:
    """One header of the envelope; `pattern` is a full match."""

    name: str
    required: bool
    clause: str
    pattern: str
    expects: str
    example: str
    lenient: str | None = None
    tolerated: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    only_domain: str | None = None
    expected_on: str | None = None
    pattern_clause: str | None = None
    additive: str | None = None


@dataclass(frozen=True)
class Subtopic:
    """One form of a domain's subtopic; `payloads` empty means: for all of them."""

    form: str
    payloads: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeyRule:
    """How a domain's partition key is made of its parts."""

    clause: str
    form: str
    tolerated: tuple[str, ...] = ()
    unspecified: bool = False
    settled_by: str | None = None


@dataclass(frozen=True)
class DedupeRule:
    """Where a domain has an idempotency key of its own."""

    clause: str
    form: str
    prefix: bool = False
    settled_by: str | None = None


@dataclass(frozen=True)
class OrderRule:
    """What a consumer of the domain may rely on within a key."""

    clause: str
    rule: str
    field: str | None = None
    until: str | None = None
    settled_by: str | None = None


@dataclass(frozen=True)
class Domain:
    """Everything the contract says of one domain."""

    name: str
    package: str | None
    payloads: tuple[str, ...]
    parts: Mapping[str, str]
    key: KeyRule
    order: OrderRule
    qos: str
    subtopics: tuple[Subtopic, ...] = ()
    subtopic_clause: str | None = None
    own_major: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    batches: Mapping[str, str] = field(default_factory=dict)
    wrappers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dedupe: DedupeRule | None = None
    slo: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Contract:
    """The whole contract, as loaded from one folder."""

    name: str
    version: str
    digest: str
    root: Path
    envs: tuple[str, ...]
    limits: Mapping[str, int]
    payload_source: Mapping[str, str]
    profiles: Mapping[str, Profile]
    clauses: Mapping[str, Clause]
    ambiguities: Mapping[str, Ambiguity]
    domains: Mapping[str, Domain]
    headers: tuple[Header, ...]
    qos: Mapping[str, Any]
    metrics: Mapping[str, Any]
    nats: Mapping[str, Any]
    kafka: Mapping[str, Any]
    services: Services
