"""What a consumer lets through to its handler, and what is a dead letter at once (A-26, A-61)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.bindings.state import claims_of
from ampy_conformance.contract import encoding
from ampy_conformance.contract.envelope import Envelope
from ampy_conformance.contract.lint import Linter

if TYPE_CHECKING:
    from ampy_conformance.bindings.records import Record
    from ampy_conformance.contract import Contract

DECODING = ("SER-01", "SER-05", "HDR-09")


class Admission:
    """Judges a record on arrival; a SHOULD-level deviation never keeps one out."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._linter = Linter(contract, strict=False)

    def refusal(self, record: Record) -> str | None:
        """Return the reason why the record is a dead letter, None where it is admitted."""
        if record.dead:
            return None
        envelope = Envelope(record.topic, record.known, record.payload)
        examined = self._linter.examine(envelope)
        for each in examined.findings:
            if each.severity == "fail":
                kind = "decode_error" if each.clause in DECODING else "contract_violation"
                return f"{kind}: {each.clause} {each.where}"
        if examined.message is not None and examined.topic:
            domain = self._contract.domains[examined.topic.domain]
            record.claims = claims_of(domain, examined.entities)
        record.body = examined.body or b""
        return None

    def qos(self, topic: str) -> str:
        """Return the QoS class of a topic's domain; what is no topic has the lowest (A-25)."""
        domain = self._contract.domains.get((topic.split(".") + [""] * 3)[2])
        return domain.qos if domain else max(self._contract.qos["classes"])

    def body(self, record: Record) -> bytes:
        """Return the payload as the handler gets it: content encoding undone (SER-12)."""
        if record.body:
            return record.body  # undone when it was judged
        try:
            return encoding.decode_body(record.known, record.payload)
        except encoding.EncodingFault:
            return record.payload  # a dead letter may hold what cannot be decoded

    def ids(self, record: Record) -> tuple[str, ...]:
        """Return what identifies the record for deduplication (IDM-01 to IDM-03, A-19)."""
        if record.dead:
            return (f"dead|{record.log}|{record.position}",)
        found = [f"id|{record.known['message_id'].lower()}"]
        if key := record.known.get("dedupe_key"):
            found.append(f"key|{record.topic}|{record.known['schema_fqdn']}|{key}")
        return tuple(found)
