"""Samples: valid logical records of any domain, each with a payload that is unique in a run."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uuid_utils

from ampy_conformance.contract import encoding, keys, payloads, recipes
from ampy_conformance.contract.envelope import Envelope
from ampy_conformance.contract.recipes import SampleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from ampy_conformance.contract.model import Contract, Domain

__all__ = ["Sample", "SampleError", "Samples", "dead_letter", "envelope", "make", "message_of"]

# Every byte to a printable character: some 6.5 bits of entropy each, so that gzip saves a fifth.
PRINTABLE = bytes(32 + each * 95 // 256 for each in range(256))


@dataclass(frozen=True)
class Sample:
    """A logical record: the fields from which a binding makes its envelope.

    `key` holds the parts of the partition key, `partition_key` the literal that the contract
    asks for; `digest` is the SHA-256 (hex) of the payload, by which the record is known
    wherever it turns up.
    """

    domain: str
    topic: str
    schema_fqdn: str
    schema_version: str
    payload: bytes
    key: Mapping[str, str]
    partition_key: str
    dedupe_key: str | None
    digest: str


class Samples:
    """Makes samples; the same seed makes the same ones in the same order."""

    def __init__(self, contract: Contract, seed: int) -> None:
        self._contract = contract
        self._random = random.Random(seed)
        self._number = 0

    def record(
        self,
        domain: str,
        case: str = "typical",
        entity: int | None = None,
        *,
        env: str = "dev",
        version: str | None = None,
        subtopic: str | None = None,
        tag: str | None = None,
        fields: Mapping[str, Any] | None = None,
        dedupe_key: str | None = None,
        size: int | None = None,
        compressible: bool = True,
    ) -> Sample:
        """Return a new record of an entity; later ones have later times.

        Entities of different numbers have different partition keys, equal ones the same.
        Without a number it is the first, in domains deduplicated by entity (news) a new one
        each time. `tag` makes the payload unique; it is unique in this run unless given.
        `fields` replace fields of the entity (in a batch: of each one). `size` pads the payload
        to exactly so many serialized, uncompressed bytes. Raises `SampleError`.
        """
        contract = self._contract
        self._number += 1
        tag = tag or f"{self._number:06d}{self._random.getrandbits(48):012x}"
        recipe = recipes.recipe(contract, domain)
        chosen = recipe.case(case)
        parts = recipe.parts(entity, tag)
        more: dict[str, Any] = {"number": self._number, "tag": tag, "fields": fields}
        size = size or chosen.size
        if size is None:
            data = recipes.payload(contract, chosen, parts, **more)
        else:
            filler = "x" * size if compressible else self._noise(size)
            data = recipes.padded(contract, chosen, parts, size=size, filler=filler, **more)
        return make(
            contract,
            domain,
            chosen,
            parts,
            data,
            env=env,
            version=version,
            subtopic=subtopic,
            dedupe_key=dedupe_key or chosen.dedupe_key,
            instruction=tag,
        )

    def envelope(self, sample: Sample, **options: Any) -> Envelope:
        """Return a valid envelope of a sample; options as in the function of this name."""
        return envelope(self._contract, sample, **options)

    def _noise(self, size: int) -> str:
        return self._random.randbytes(size).translate(PRINTABLE).decode("ascii")


def make(
    contract: Contract,
    domain: str,
    case: recipes.Case,
    parts: Mapping[str, str],
    payload: bytes,
    *,
    env: str,
    version: str | None = None,
    subtopic: str | None = None,
    dedupe_key: str | None = None,
    instruction: str | None = None,
) -> Sample:
    """Return the sample of a payload; `instruction` tells records of one dedupe rule apart.

    Several instructions share an order's id, so their dedupe keys must differ (A-19).
    """
    facts = contract.domains[domain]
    rule = facts.dedupe
    if dedupe_key is not None:
        dedupe_key = keys.fill(dedupe_key, parts)
    elif rule is not None:
        dedupe_key = keys.fill(rule.form, parts)
        if rule.prefix and instruction:
            dedupe_key = f"{dedupe_key}|{instruction}"
    major = major_of(facts, case.payload)
    tail = keys.fill(subtopic or case.subtopic, parts)
    return Sample(
        domain=domain,
        topic=f"ampy.{env}.{domain}.{version or f'v{major}'}.{tail}",
        schema_fqdn=case.payload,
        schema_version=f"{major}.0.0",
        payload=payload,
        key=dict(parts),
        partition_key=keys.from_parts(contract, domain, parts),
        dedupe_key=dedupe_key,
        digest=hashlib.sha256(payload).hexdigest(),
    )


def major_of(domain: Domain, schema: str) -> int:
    """Return the major in a payload type's package (TOP-04); 1 where the domain has its own."""
    if domain.own_major:
        return 1
    return int(schema.removeprefix(f"{domain.package}.v").partition(".")[0])


def message_of(contract: Contract, sample: Sample) -> Message:
    """Return the decoded payload of a sample."""
    return payloads.types(contract).decode(sample.schema_fqdn, sample.payload)


def envelope(
    contract: Contract,
    sample: Sample,
    *,
    env: str | None = None,
    compress: bool | None = None,
    **headers: str | None,
) -> Envelope:
    """Return a valid envelope of a sample, as the contract has it.

    `headers` override and add; None leaves a header out. `env` moves the topic. `compress` is
    by size unless given (SER-04). Ids and times are new unless given.
    """
    recipe = recipes.recipe(contract, sample.domain)
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    values: dict[str, str | None] = {
        "message_id": headers.get("message_id") or str(uuid_utils.uuid7()),
        "schema_fqdn": sample.schema_fqdn,
        "schema_version": sample.schema_version,
        "content_type": "application/x-protobuf",
        "produced_at": now,
        "producer": recipe.producer,
        "source": recipe.source,
        "run_id": recipe.run_id,
        "trace_id": hashlib.sha256(sample.payload).hexdigest()[:32],
        "partition_key": sample.partition_key,
        "dedupe_key": sample.dedupe_key,
    }
    body = sample.payload
    if compress or (compress is None and len(body) > contract.limits["compress_over"]):
        body = encoding.compress(body)
        values["content_encoding"] = "gzip"
    values.update(headers)
    kept = {name: value for name, value in values.items() if value is not None}
    topic = sample.topic
    if env is not None:
        root, _, rest = topic.split(".", 2)
        topic = f"{root}.{env}.{rest}"
    return Envelope(topic, kept, body)


def dead_letter(
    contract: Contract, original: Envelope, reason: str, **headers: str | None
) -> Envelope:
    """Return the dead letter of an envelope: all its headers, a reason, what audit needs.

    A-05 (topic), A-06 (original headers unchanged), A-08 (original topic), A-09 (hash of the
    payload bytes as they are on the wire).
    """
    root, env, domain, _ = original.topic.split(".", 3)
    assert domain in contract.domains
    values: dict[str, str | None] = {
        **original.headers,
        "dlq_reason": reason,
        "original_topic": original.topic,
        "payload_hash": f"sha256:{hashlib.sha256(original.payload or b'').hexdigest()}",
        **headers,
    }
    kept = {name: value for name, value in values.items() if value is not None}
    return Envelope(f"{root}.{env}.dlq.v1.{domain}", kept, original.payload)
