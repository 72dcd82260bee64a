"""Golden envelopes: every valid case of `spec/golden`; and beside them the faulty ones.

All of it follows from the spec: no clock, no randomness. Files are compared by content, and a
gzip payload by what it unpacks to, because another zlib compresses to other bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from ampy_conformance.contract import encoding, payloads, recipes, registry, samples, times
from ampy_conformance.contract.envelope import Envelope, to_json
from ampy_conformance.contract.registry import SpecError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ampy_conformance.contract.model import Contract

DEAD = "dlq"
# What a readable view shows of long texts and lists; the bytes beside it are whole.
LONG_TEXT = 200
LONG_LIST = 3


@dataclass(frozen=True)
class Golden:
    """One envelope: the path of its file without suffix, and the clause that it breaks, if any.

    `expects` is "valid", "invalid" (refused for exactly `clause`) or "warned" (one warning).
    The first are in `golden/<domain>/`, the others in `faulty/invalid/` and `faulty/warned/`, so
    that `validate golden` has nothing to find.
    """

    name: str
    title: str
    envelope: Envelope
    expects: str = "valid"
    clause: str | None = None

    def data(self, contract: Contract) -> dict[str, Any]:
        """Return the content of the file."""
        more: dict[str, Any] = {"title": self.title, "expects": self.expects}
        if self.clause is not None:
            clause = contract.clauses[self.clause]
            more["breaks"] = {"clause": clause.id, "level": clause.level, "text": clause.text}
        data = to_json(self.envelope, **more)
        body = _body(self.envelope)
        if body is not None:
            data["body_sha256"] = hashlib.sha256(body).hexdigest()
            data["body_size"] = len(body)
            data["payload_view"] = _view(contract, self.envelope, body)
        return data

    def text(self, contract: Contract) -> str:
        """Return the file."""
        return json.dumps(self.data(contract), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Fault:
    """One edit of a valid envelope, from `spec/golden/faults.yaml`.

    `of` and `case` name the envelope; `size` pads its payload first. `headers` replace, add or
    (null) remove; `cut` keeps so many payload bytes, `payload_b64` replaces them, `json` writes
    the JSON form; `gzip` is mark (header only), silent (bytes only), stored (no compression
    within) or cut (the end is missing). `fields` replace fields of the payload.
    """

    name: str
    clause: str
    title: str
    of: str
    case: str = "typical"
    topic: str | None = None
    headers: Mapping[str, str | None] | None = None
    fields: Mapping[str, Any] | None = None
    size: int | None = None
    cut: int | None = None
    payload_b64: str | None = None
    json: bool = False
    gzip: str | None = None
    rehash: bool = True


def build(contract: Contract) -> list[Golden]:
    """Return all golden envelopes, valid ones first."""
    found = list(valid(contract))
    known = {each.name: each for each in found}
    data = read_yaml(contract.root / "golden" / "faults.yaml")
    for expects in ("invalid", "warned"):
        found += [_faulty(contract, known, expects, each) for each in data[expects]]
    names = [each.name for each in found]
    if len(set(names)) != len(names):
        twice = next(each for each in names if names.count(each) > 1)
        raise SpecError(f"golden: {twice} is made twice; give one fault another name")
    return found


def valid(contract: Contract) -> Iterator[Golden]:
    """Yield the valid envelopes of every domain, dead letters last."""
    made: dict[str, Golden] = {}
    for name, domain in contract.domains.items():
        if not domain.payloads:
            continue
        for case in recipes.recipe(contract, name).cases.values():
            each = Golden(f"golden/{name}/{case.name}", case.title, _envelope(contract, name, case))
            made[each.name] = each
            yield each
    path = contract.root / "golden" / f"{DEAD}.yaml"
    for case_name, facts in read_yaml(path)["cases"].items():
        yield _dead(contract, made, case_name, facts, read_yaml(path)["router"])


def _envelope(
    contract: Contract,
    domain: str,
    case: recipes.Case,
    fields: Mapping[str, Any] | None = None,
    size: int | None = None,
) -> Envelope:
    sample = samples.Samples(contract, seed=0).record(
        domain,
        case.name,
        case.entity,
        env=case.env,
        tag=f"golden-{domain}-{case.name}",
        fields=fields,
        size=size,
        dedupe_key=case.dedupe_key or _own_dedupe_key(contract, domain),
    )
    fixed: dict[str, Any] = {
        "message_id": _message_id(f"{domain}/{case.name}"),
        "produced_at": recipes.stamp(61),
        **(case.headers or {}),
    }
    if case.pointer is None:
        return samples.envelope(contract, sample, compress=case.compress, **fixed)
    fixed |= {
        "blob_ref": case.pointer,
        "blob_hash": f"sha256:{sample.digest}",
        "blob_size": str(len(sample.payload)),
    }
    return replace(samples.envelope(contract, sample, compress=False, **fixed), payload=b"")


def _own_dedupe_key(contract: Contract, domain: str) -> str | None:
    """Return the plain form of a domain's dedupe key: a golden instruction is the first one."""
    rule = contract.domains[domain].dedupe
    return rule.form if rule else None


def _dead(
    contract: Contract,
    made: Mapping[str, Golden],
    name: str,
    facts: Mapping[str, Any],
    router: Mapping[str, str],
) -> Golden:
    original = made[f"golden/{facts['of']}/{facts.get('case', 'typical')}"].envelope
    if "payload_b64" in facts:
        original = _with_payload(original, facts["payload_b64"])
    more: dict[str, Any] = {**router, **facts.get("headers", {})}
    letter = samples.dead_letter(contract, original, facts["reason"], **more)
    return Golden(f"golden/{DEAD}/{name}", facts["title"], letter)


def _message_id(name: str) -> str:
    """Return a UUID of version 7 whose time is the sample's and whose rest is the name's hash."""
    milliseconds = int(recipes.EPOCH.timestamp() * 1000) + 61_000
    rest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big")
    whole = milliseconds << 80 | rest
    whole = whole & ~(0xF << 76) | 0x7 << 76
    whole = whole & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=whole))


# -- faults -----------------------------------------------------------------------------


def _faulty(
    contract: Contract, known: Mapping[str, Golden], expects: str, data: Mapping[str, Any]
) -> Golden:
    fault: Fault = registry.build(Fault, f"faults.yaml: {data.get('name')}", data)
    if fault.clause not in contract.clauses:
        raise SpecError(f"faults.yaml: {fault.name}: there is no clause {fault.clause!r}")
    base = f"golden/{fault.of}/{fault.case}"
    if base not in known:
        raise SpecError(f"faults.yaml: {fault.name}: there is no golden envelope {base!r}")
    envelope = known[base].envelope
    if fault.fields or fault.size:
        case = recipes.recipe(contract, fault.of).case(fault.case)
        envelope = _envelope(contract, fault.of, case, fault.fields, fault.size)
    envelope = _edited(contract, envelope, fault)
    name = f"faulty/{expects}/{fault.clause}-{fault.name}"
    return Golden(name, fault.title, envelope, expects, fault.clause)


def _edited(contract: Contract, envelope: Envelope, fault: Fault) -> Envelope:
    headers: dict[str, str | None] = dict(envelope.headers)
    payload = envelope.payload or b""
    if fault.payload_b64 is not None:
        payload = _with_payload(envelope, fault.payload_b64).payload or b""
    if fault.json:
        schema = envelope.headers["schema_fqdn"]
        message = payloads.types(contract).decode(schema, payload)
        payload = json_format.MessageToJson(message, indent=None).encode()
    if fault.gzip is not None:
        payload = _zipped(encoding.decode_body(envelope.headers, payload), fault.gzip)
        headers["content_encoding"] = None if fault.gzip in ("silent", "none") else "gzip"
    if fault.cut is not None:
        payload = payload[: fault.cut]
    if "payload_hash" in headers and fault.rehash:
        headers["payload_hash"] = f"sha256:{hashlib.sha256(payload).hexdigest()}"
    headers.update(fault.headers or {})
    kept = {name: value for name, value in headers.items() if value is not None}
    return Envelope(fault.topic or envelope.topic, kept, payload)


def _zipped(body: bytes, how: str) -> bytes:
    if how in ("mark", "none"):
        return body
    if how == "cut":
        return encoding.compress(body)[:-9]
    if how in ("silent", "stored"):
        return gzip.compress(body, compresslevel=0 if how == "stored" else 9, mtime=0)
    raise SpecError(f"faults.yaml: gzip is mark, none, silent, stored or cut, not {how!r}")


def _with_payload(envelope: Envelope, encoded: str) -> Envelope:
    return replace(envelope, payload=base64.b64decode(encoded, validate=True))


# -- what a file shows besides -----------------------------------------------------------


def _body(envelope: Envelope) -> bytes | None:
    try:
        return encoding.decode_body(envelope.headers, envelope.payload or b"")
    except encoding.EncodingFault:
        return None


def _view(contract: Contract, envelope: Envelope, body: bytes) -> Any:
    """Return the payload as people read it, long parts shortened; None where it is unreadable."""
    types = payloads.types(contract)
    schema = envelope.headers.get("schema_fqdn", "")
    if schema not in types.domain_of or not body:
        return None
    try:
        message = types.decode(schema, body)
    except payloads.DecodeError:
        return None
    if any(times.wrong(message)):
        return None  # the JSON form has no way to write it
    return _shortened(json_format.MessageToDict(message, preserving_proto_field_name=True))


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return f"{value[:40]}... ({len(value)} characters)"
    if isinstance(value, list):
        shown = [_shortened(each) for each in value[:LONG_LIST]]
        return [*shown, f"... ({len(value)} items)"] if len(value) > LONG_LIST else shown
    if isinstance(value, dict):
        return {name: _shortened(each) for name, each in value.items()}
    return value
