"""JSON Schemas (2020-12) of headers and envelopes, made from the spec.

Each file stands alone, with no reference to fetch. A schema is the strict form of what one
record shows; what needs the payload or a second record is left to `ampy-conform validate`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract.lint import DEAD, EXCUSED
from ampy_conformance.contract.samples import major_of

if TYPE_CHECKING:
    from pathlib import Path

    from ampy_conformance.contract.model import Contract, Domain, Header

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# The terminal TOKEN of topic.lark, in the syntax that all dialects of patterns share.
TOKEN = r"[^\s.*>\u0000-\u001f\u007f]+"  # noqa: S105 (no secret)
REMEDY = "run `ampy-conform golden build`"


def build(contract: Contract) -> dict[str, dict[str, Any]]:
    """Return the generated schemas by their path below `schemas/`."""
    found = {
        "headers.json": {**_top(contract, "headers", "Headers of a record"), **_headers(contract)}
    }
    for domain in contract.domains.values():
        found[f"envelope/{domain.name}.json"] = _envelope(contract, domain)
    return found


def write(contract: Contract, folder: Path) -> list[str]:
    """Write the generated schemas below `folder` and return their paths."""
    made = build(contract)
    for name, schema in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_text(schema), "utf-8")
    return list(made)


def problems(contract: Contract, folder: Path) -> list[str]:
    """Return which of the generated files in `folder` are missing or out of date."""
    found = []
    for name, schema in build(contract).items():
        path = folder / name
        if not path.is_file():
            found.append(f"schemas/{name} is missing; {REMEDY}")
        elif path.read_text("utf-8") != _text(schema):
            found.append(f"schemas/{name} is out of date; {REMEDY}")
    return found


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _top(contract: Contract, name: str, title: str) -> dict[str, Any]:
    major = contract.version.partition(".")[0]
    return {
        "$schema": DIALECT,
        "$id": f"urn:ampy-conform:{name}:{major}",
        "title": f"{title} ({contract.name} {contract.version})",
    }


# -- headers ----------------------------------------------------------------------------


def _headers(contract: Contract) -> dict[str, Any]:
    together = next(each.together for each in contract.headers if each.together)
    return {
        "description": "Names are as written here (HDR-23); unknown ones are allowed (HDR-25). "
        "That traceparent carries trace_id (HDR-16) no schema can say.",
        "type": "object",
        "required": [each.name for each in contract.headers if each.required],
        "properties": {each.name: _header(contract, each) for each in contract.headers},
        "additionalProperties": {"type": "string"},
        # HDR-22, BLB-02: the three belong together.
        "dependentRequired": {
            each: [other for other in together if other != each] for each in together
        },
    }


def _header(contract: Contract, header: Header) -> dict[str, Any]:
    clause = contract.clauses[header.clause]
    schema: dict[str, Any] = {
        "type": "string",
        "description": f"{clause.id} ({clause.level}): {clause.text} Expected: {header.expects}.",
        "pattern": f"^(?:{header.pattern})$",
        "examples": [header.example],
    }
    if header.pattern_clause:
        schema["description"] += f" Its form: {header.pattern_clause}."
    if header.additive:
        schema["description"] += f" An addition of ours ({header.additive})."
    if header.name == "produced_at":
        schema["format"] = "date-time"
    return schema


# -- envelopes --------------------------------------------------------------------------


def _envelope(contract: Contract, domain: Domain) -> dict[str, Any]:
    dead = domain.name == DEAD
    return {
        **_top(contract, f"envelope:{domain.name}", f"Envelope of the domain {domain.name}"),
        "description": "A record as it lies on the wire; payload_b64 are its payload bytes.",
        "type": "object",
        "required": ["topic", "headers"],
        "properties": {
            "topic": {
                "type": "string",
                "description": "TOP-01 to TOP-05: ampy.{env}.{domain}.{version}.{subtopic}."
                + (f" Subtopics: {domain.subtopic_clause}." if domain.subtopic_clause else ""),
                "pattern": _topic_pattern(contract, domain),
            },
            "headers": _dead_headers(contract) if dead else _live_headers(contract, domain),
            "payload_b64": {
                "type": "string",
                "contentEncoding": "base64",
                "description": "SER-01: the serialized message; gzip above 128 KiB (SER-04); "
                "empty beside a pointer (BLB-01).",
            },
            "payload_json": {
                "type": "object",
                "description": "SER-03: the JSON form, for diagnosis where the bytes are not known.",
            },
        },
    }


def _topic_pattern(contract: Contract, domain: Domain) -> str:
    envs = "|".join(contract.envs)
    majors = {major_of(domain, each) for each in domain.payloads} or {1}
    versions = "|".join(f"v{each}" for each in sorted(majors))
    return rf"^ampy\.(?:{envs})\.{domain.name}\.(?:{versions})\.{TOKEN}(?:\.{TOKEN})*$"


def _live_headers(contract: Contract, domain: Domain) -> dict[str, Any]:
    schema = _headers(contract)
    names = [*domain.payloads, *domain.aliases]
    own = schema["properties"]
    own["schema_fqdn"] = {
        **own["schema_fqdn"],
        "enum": names,
        "description": f"{own['schema_fqdn']['description']} TOP-19: a type of this domain.",
    }
    key = domain.key
    form = "not empty" if key.unspecified else key.form
    own["partition_key"] = {
        **own["partition_key"],
        "description": f"{own['partition_key']['description']} {key.clause}: {form}.",
    }
    if domain.dedupe is not None:
        rule = domain.dedupe
        own["dedupe_key"] = {
            **own["dedupe_key"],
            "description": f"{own['dedupe_key']['description']} Here: {rule.form}.",
        }
    own["dlq_reason"] = False  # HDR-20: on dead letters only
    return schema


def _dead_headers(contract: Contract) -> dict[str, Any]:
    """A dead letter keeps the headers of its original, which may be what was wrong with it."""
    whole = _headers(contract)
    reason = whole["properties"]["dlq_reason"]
    return {
        "type": "object",
        "description": "HDR-20: a reason on every dead letter. Where its class says that the "
        "original was no valid record, the other headers are as they came.",
        "required": ["dlq_reason"],
        "properties": {"dlq_reason": reason},
        "additionalProperties": {"type": "string"},
        "if": {"properties": {"dlq_reason": {"pattern": f"^(?:{'|'.join(EXCUSED)}):"}}},
        "else": whole,
    }
