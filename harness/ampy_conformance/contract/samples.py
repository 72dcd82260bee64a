"""Samples: valid logical records of any domain, each with a payload that is unique in a run."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uuid_utils

from ampy_conformance.contract import encoding, keys, payloads, recipes
from ampy_conformance.contract.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from ampy_conformance.contract.model import Contract

SCHEMA_VERSION = "1.0.0"


@dataclass(frozen=True)
class Sample:
    """A logical record: the fields from which a binding makes its envelope.

    `partition_key` is the literal that the contract asks for, `digest` the SHA-256 of the
    payload, by which the record is known wherever it turns up.
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
        *,
        case: str = "typical",
        entity: int | None = None,
        env: str = "dev",
        subtopic: str | None = None,
        dedupe_key: str | None = None,
        size: int | None = None,
        compressible: bool = True,
    ) -> Sample:
        """Return a new record of an entity; later ones have later times.

        `size` pads the payload to exactly so many serialized bytes.
        """
        self._number += 1
        number = self._number
        tag = f"{number:06d}{self._random.getrandbits(48):012x}"
        recipe = recipes.recipe(self._contract, domain)
        chosen = recipe.cases[case]
        parts = recipe.parts(entity, tag)
        if size is None:
            data = recipes.payload(self._contract, chosen, parts, number=number, tag=tag)
        else:
            letters = string.ascii_letters + string.digits
            filler = "".join(self._random.choices(letters, k=size)) if not compressible else "x" * size
            data = recipes.padded(
                self._contract, chosen, parts, number=number, tag=tag, size=size, filler=filler
            )
        return make(
            self._contract,
            domain,
            chosen,
            parts,
            data,
            env=env,
            subtopic=subtopic,
            dedupe_key=dedupe_key or chosen.dedupe_key,
            instruction=tag,
        )


def make(
    contract: Contract,
    domain: str,
    case: recipes.Case,
    parts: Mapping[str, str],
    payload: bytes,
    *,
    env: str,
    subtopic: str | None = None,
    dedupe_key: str | None = None,
    instruction: str | None = None,
) -> Sample:
    """Return the sample of a payload; `instruction` tells records of one dedupe rule apart."""
    rule = contract.domains[domain].dedupe
    if dedupe_key is None and rule is not None:
        dedupe_key = keys.fill(rule.form, parts)
        if rule.prefix and instruction:
            dedupe_key = f"{dedupe_key}|{instruction}"
    elif dedupe_key is not None:
        dedupe_key = dedupe_key.format_map(dict(parts))
    tail = (subtopic or case.subtopic).format_map(dict(parts))
    return Sample(
        domain=domain,
        topic=f"ampy.{env}.{domain}.v1.{tail}",
        schema_fqdn=case.payload,
        schema_version=SCHEMA_VERSION,
        payload=payload,
        key=dict(parts),
        partition_key=keys.from_parts(contract, domain, parts),
        dedupe_key=dedupe_key,
        digest=hashlib.sha256(payload).hexdigest(),
    )


def message_of(contract: Contract, sample: Sample) -> Message:
    """Return the decoded payload of a sample."""
    return payloads.types(contract).decode(sample.schema_fqdn, sample.payload)


def envelope(
    contract: Contract,
    sample: Sample,
    *,
    message_id: str | None = None,
    produced_at: str | None = None,
    trace_id: str | None = None,
    **headers: str,
) -> Envelope:
    """Return a valid envelope of a sample, as the contract has it; `headers` override and add."""
    recipe = recipes.recipe(contract, sample.domain)
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    values = {
        "message_id": message_id or str(uuid_utils.uuid7()),
        "schema_fqdn": sample.schema_fqdn,
        "schema_version": sample.schema_version,
        "content_type": "application/x-protobuf",
        "produced_at": produced_at or now,
        "producer": recipe.producer,
        "source": recipe.source,
        "run_id": recipe.run_id,
        "trace_id": trace_id or hashlib.sha256(sample.payload).hexdigest()[:32],
        "partition_key": sample.partition_key,
    }
    if sample.dedupe_key is not None:
        values["dedupe_key"] = sample.dedupe_key
    body = sample.payload
    if len(body) > contract.limits["compress_over"]:
        body = encoding.compress(body)
        values["content_encoding"] = "gzip"
    return Envelope(sample.topic, {**values, **headers}, body)
