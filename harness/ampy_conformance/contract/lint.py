"""Judge one envelope statically: topic, headers, payload, key, each finding with its clause.

One cause gives one finding: what cannot be judged because of an earlier fault is left out.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from ampy_conformance.contract import encoding, keys, payloads, subtopics, times, topics
from ampy_conformance.contract.findings import Finding, finding
from ampy_conformance.contract.headercheck import HeaderCheck

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message

    from ampy_conformance.contract.envelope import Envelope
    from ampy_conformance.contract.model import Contract, Domain
    from ampy_conformance.contract.topics import Topic

DEAD = "dlq"
# How many pairs of topic and schema, and entities, are known to fit; how long their texts may be.
MANY, SHORT, LONG = 4096, 64, 1024
# A dead letter of such a class was not a valid record: its headers may be what is wrong with it.
EXCUSED = ("contract_violation", "decode_error")


class Examined(NamedTuple):
    """What one look at an envelope gave: findings, and the parts that could be read."""

    findings: tuple[Finding, ...]
    topic: Topic | None = None
    schema: str | None = None
    message: Any = None
    entities: Sequence[Message] = ()  # what the payload carries
    rows: Sequence[Mapping[str, str]] = ()  # the key parts of each of them
    body: bytes | None = None  # the payload with its encoding undone


class Linter:
    """Judges envelopes against one contract. `strict` grades as a certification does (A-12)."""

    def __init__(self, contract: Contract, *, strict: bool = True) -> None:
        self.contract = contract
        self._strict = strict
        self._headers = HeaderCheck(contract, strict=strict)
        self._types = payloads.types(contract)
        self._fitting: set[tuple[str, str, str | None, str]] = set()
        self._entities: set[tuple[str | None, ...]] = set()
        self._over = contract.limits["compress_over"]
        self._below = contract.limits["record_below"]

    def check(self, envelope: Envelope) -> list[Finding]:
        """Return the findings against one envelope; empty means that it keeps the contract."""
        return list(self.examine(envelope).findings)

    def examine(self, envelope: Envelope) -> Examined:
        """Judge an envelope and return what could be read of it as well."""
        found: list[Finding] = []
        try:
            topic = topics.parse(self.contract, envelope.topic)
        except topics.TopicError as error:
            found.append(self._bad_topic(error))
            self._headers.check(envelope.headers, None, found)
            return Examined(tuple(found))
        domain = self.contract.domains[topic.domain]
        if topic.domain == DEAD:
            self._dead(topic, envelope, found)
            return Examined(tuple(found), topic)
        self._headers.check(envelope.headers, domain, found, env=topic.env)
        schema = self._schema(topic, domain, envelope.headers, found)
        self._size(envelope, found)
        if schema is None or "content_type" not in envelope.headers:
            return Examined(tuple(found), topic, schema)
        body, message = self._payload(envelope, schema, found)
        entities: list[Message] = []
        rows: list[dict[str, str]] = []
        if message is not None:
            # What follows from a time that is none is not a second finding.
            if not self._strict or self._times(message, found):
                entities = payloads.elements(domain, schema, message)
                rows = keys.parts_of(domain, topic, entities)
                self._entity(topic, domain, schema, rows, envelope.headers, found)
        elif envelope.payload is None or "blob_ref" in envelope.headers:
            self._forms(topic, domain, schema, envelope.headers.get("partition_key"), found)
        return Examined(tuple(found), topic, schema, message, entities, rows, body)

    # -- topic --------------------------------------------------------------------------

    def _bad_topic(self, error: topics.TopicError) -> Finding:
        level = self.contract.clauses[error.clause].level
        severity = "fail" if level == "MUST" else "warn"
        return Finding(
            error.clause,
            level,
            severity,
            "topic",
            repr(error.token[:80]),
            "a topic",
            f"topic: {error}",
        )

    # -- schema -------------------------------------------------------------------------

    def _schema(
        self, topic: Topic, domain: Domain, headers: Mapping[str, str], found: list[Finding]
    ) -> str | None:
        """Return the payload type to decode with, None where there is none that fits."""
        contract = self.contract
        name = headers.get("schema_fqdn")
        version = headers.get("schema_version", "")
        known = (topic.domain, topic.version, name, version)
        if known in self._fitting:
            return name
        before = len(found)
        if domain.own_major and topic.version != "v1":
            found.append(
                finding(contract, "TOP-04", "topic version", topic.version, "v1 on this domain")
            )
        if not name:
            return None
        home = self._types.domain_of.get(name)
        if home is None:
            clause = "HDR-05" if name.startswith(f"{domain.package}.") else "SER-02"
            if self._headers.well_formed("schema_fqdn", name):
                found.append(
                    finding(contract, clause, "schema_fqdn", name, "a payload type of ampy-proto")
                )
            return None
        if home.name != domain.name:
            wanted = f"a type of {domain.package}"
            found.append(finding(contract, "TOP-19", "schema_fqdn", name, wanted))
            return None
        real, alias = self._types.resolve(name)
        if alias:
            found.append(finding(contract, "HDR-05", "schema_fqdn", name, f"{real} (A-15)", "warn"))
        major = real[len(domain.package or "") + 2 :].partition(".")[0]
        if not domain.own_major and topic.version != f"v{major}":
            wanted = f"v{major}, the major of {real}"
            found.append(finding(contract, "TOP-04", "topic version", topic.version, wanted))
        written = version.partition(".")[0]
        if topic.version != f"v{written}" and self._headers.well_formed("schema_version", version):
            says = f"major {written} on a topic of {topic.version}"
            wanted = "the major of the topic (A-48)"
            found.append(finding(contract, "HDR-07", "schema_version", says, wanted))
        if len(found) == before and len(version) < SHORT and len(self._fitting) < MANY:
            self._fitting.add(known)
        return name

    # -- payload ------------------------------------------------------------------------

    def _size(self, envelope: Envelope, found: list[Finding]) -> None:
        payload = envelope.payload
        if payload is None:
            return
        if (
            len(payload) > self._over
            and envelope.headers.get("content_encoding", "") in encoding.NONE
        ):
            wanted = f"gzip above {self._over} bytes"
            size = f"{len(payload)} bytes, uncompressed"
            found.append(finding(self.contract, "SER-04", "payload", size, wanted))
        if len(payload) >= self._below - 65536:
            whole = len(payload) + sum(len(a) + len(b) + 4 for a, b in envelope.headers.items())
            if whole >= self._below:
                wanted = f"less than {self._below} bytes, or a pointer"
                found.append(finding(self.contract, "SER-07", "record", f"{whole} bytes", wanted))

    def _payload(
        self, envelope: Envelope, schema: str, found: list[Finding]
    ) -> tuple[bytes | None, Message | None]:
        """Return the body and the message in it, as far as they can be had."""
        headers, payload = envelope.headers, envelope.payload
        if "blob_ref" in headers:
            if payload:
                says = f"{len(payload)} bytes"
                found.append(
                    finding(
                        self.contract,
                        "BLB-01",
                        "payload",
                        says,
                        "none beside a pointer (A-35)",
                        "warn",
                    )
                )
            return None, None
        if payload is None and envelope.payload_json is not None:
            return None, self._from_json(envelope.payload_json, schema, found)
        if payload is None or headers["content_type"] != "application/x-protobuf":
            return None, None
        try:
            body = encoding.decode_body(headers, payload)
            return body, self._types.of(schema).FromString(body)
        except encoding.EncodingFault as fault:
            if fault.clause != "HDR-09":  # the header itself was judged already
                level = self.contract.clauses[fault.clause].level
                found.append(
                    Finding(
                        fault.clause,
                        level,
                        "fail",
                        "payload",
                        None,
                        "bytes as content_encoding says",
                        str(fault),
                    )
                )
        except Exception:  # noqa: BLE001 (whatever protobuf raises, the bytes are no such message)
            size = f"{len(payload)} bytes that do not parse"
            found.append(finding(self.contract, "SER-01", "payload", size, f"a {schema}"))
        return None, None

    def _times(self, message: Message, found: list[Finding]) -> bool:
        """Tell whether all times in a payload are times."""
        wrong = next(times.wrong(message), None)
        if wrong is not None:
            wanted = "a time between the years 1 and 9999"
            found.append(finding(self.contract, "SER-10", "payload", wrong, wanted))
        return wrong is None

    def _from_json(
        self, view: Mapping[str, Any], schema: str, found: list[Finding]
    ) -> Message | None:
        try:
            return self._types.build(
                schema, {name: value for name, value in view.items() if not name.startswith("_")}
            )
        except payloads.BuildError:
            # Illustrative in ampy-bus' format; only the bytes, which are not here, could break it.
            wanted = f"the JSON form of {schema}; the payload was not judged"
            found.append(
                finding(self.contract, "SER-01", "payload_json", "of another form", wanted, "info")
            )
            return None

    # -- entity: subtopic and key against the payload -----------------------------------

    def _entity(
        self,
        topic: Topic,
        domain: Domain,
        schema: str,
        rows: list[dict[str, str]],
        headers: Mapping[str, str],
        found: list[Finding],
    ) -> None:
        if not rows:
            return
        # The entity comes again with its next record, and fits its topic and key as before.
        told = (topic.text, schema, headers.get("partition_key"), headers.get("dedupe_key"))
        known = (*told, *rows[0].values()) if len(rows) == 1 else None
        if known is not None and known in self._entities:
            return
        before = len(found)
        self._judge_entity(topic, domain, schema, rows, headers, found)
        if known and len(found) == before and sum(map(len, filter(None, known))) < LONG:
            if len(self._entities) >= MANY:
                self._entities.clear()
            self._entities.add(known)

    def _judge_entity(
        self,
        topic: Topic,
        domain: Domain,
        schema: str,
        rows: list[dict[str, str]],
        headers: Mapping[str, str],
        found: list[Finding],
    ) -> None:
        contract = self.contract
        empty = {name for row in rows for name, value in row.items() if not value}
        if "symbol" in empty and domain.parts["symbol"] == "security.symbol":
            found.append(
                finding(contract, "SER-11", "payload", "without a SecurityId", "symbol and mic")
            )
            return
        if empty and not domain.key.unspecified:
            says = f"without {', '.join(sorted(empty))}"
            wanted = f"all parts of the key {domain.key.form}"
            found.append(finding(contract, domain.key.clause, "payload", says, wanted))
            return
        subtopics.check(contract, topic, domain, schema, rows, found)
        self._key(domain, rows, headers, found)
        if domain.dedupe is not None:
            self._dedupe(domain, rows[0], headers, found)

    def _key(
        self,
        domain: Domain,
        rows: list[dict[str, str]],
        headers: Mapping[str, str],
        found: list[Finding],
    ) -> None:
        rule, key = domain.key, headers.get("partition_key")
        if rule.unspecified or not key or not key.strip():
            return
        if "|" in rule.form and any("|" in each for row in rows for each in row.values()):
            says, wanted = "a part that holds the delimiter |", "parts without | (A-28)"
            found.append(finding(self.contract, rule.clause, "payload", says, wanted))
            return
        canonical = [rule.form.format_map(row) for row in rows]
        if key == canonical[0] and len(rows) == 1:
            return
        several = any("[]" in path for path in domain.parts.values())
        if not several and len(set(canonical)) > 1:
            says = f"{key} for a batch of {len(set(canonical))} entities"
            found.append(
                finding(
                    self.contract,
                    rule.clause,
                    "partition_key",
                    says,
                    "one entity a batch (A-31)",
                    "fail",
                )
            )
        elif key not in canonical:
            tolerated = [form.format_map(row) for form in rule.tolerated for row in rows]
            wanted = f"{canonical[0]}" + (f" ({rule.settled_by})" if rule.settled_by else "")
            known = key in tolerated
            found.append(
                finding(
                    self.contract,
                    rule.clause,
                    "partition_key",
                    key,
                    wanted,
                    "warn" if known else None,
                )
            )

    def _forms(
        self, topic: Topic, domain: Domain, schema: str, key: str | None, found: list[Finding]
    ) -> None:
        """Judge subtopic and key by their form, where no payload tells the entity."""
        contract, rule = self.contract, domain.key
        formed = subtopics.check_form(contract, topic, domain, schema, found)
        if rule.unspecified or not key:
            return
        if not keys.shape(rule.form).fullmatch(key):
            known = any(keys.shape(form).fullmatch(key) for form in rule.tolerated)
            wanted = rule.form + (f" ({rule.settled_by})" if rule.settled_by else "")
            severity = "warn" if known else None
            found.append(finding(contract, rule.clause, "partition_key", key, wanted, severity))
        elif rule.form in formed and key != (text := ".".join(topic.subtopic)):
            found.append(finding(contract, "TOP-20", "subtopic", text, f"{key}, the partition_key"))

    def _dedupe(
        self, domain: Domain, row: dict[str, str], headers: Mapping[str, str], found: list[Finding]
    ) -> None:
        rule = domain.dedupe
        assert rule is not None
        wanted, value = rule.form.format_map(row), headers.get("dedupe_key")
        if value is None or value == wanted:
            if value is None:
                found.append(finding(self.contract, rule.clause, "dedupe_key", None, wanted))
        elif not (rule.prefix and value.startswith(wanted)):
            found.append(finding(self.contract, rule.clause, "dedupe_key", value, wanted))

    # -- dead letters -------------------------------------------------------------------

    def _dead(self, topic: Topic, envelope: Envelope, found: list[Finding]) -> None:
        contract, headers = self.contract, envelope.headers
        if topic.version != "v1":
            found.append(
                finding(contract, "TOP-04", "topic version", topic.version, "v1 on this domain")
            )
        if topic.subtopic[0] not in contract.domains:
            found.append(
                finding(
                    contract, "TOP-16", "topic", topic.text, "ampy.{env}.dlq.v1.{original domain}"
                )
            )
        reason = headers.get("dlq_reason")
        if reason is None:
            found.append(
                finding(contract, "HDR-20", "dlq_reason", None, "a reason on every dead letter")
            )
        excused = reason is not None and reason.partition(":")[0] in EXCUSED
        self._headers.check(
            headers, contract.domains[DEAD], found, required=not excused, values=not excused
        )
        self._hash(envelope, found)
        if "original_topic" not in headers and len(topic.subtopic) == 1:
            # Further tokens hold the rest of the original topic.
            wanted = "the topic on which the record was live (A-08)"
            found.append(finding(contract, "DLQ-13", "original_topic", None, wanted, "warn"))

    def _hash(self, envelope: Envelope, found: list[Finding]) -> None:
        value = envelope.headers.get("payload_hash")
        wanted = "sha256: of the payload"
        if value is None:
            found.append(finding(self.contract, "DLQ-12", "payload_hash", None, wanted))
        elif (
            envelope.payload is not None
            and value != f"sha256:{hashlib.sha256(envelope.payload).hexdigest()}"
        ):
            found.append(finding(self.contract, "DLQ-12", "payload_hash", value, wanted))
