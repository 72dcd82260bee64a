"""Judge what only several records show: ids, runs, keys of one entity, times of one key."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract import keys, payloads
from ampy_conformance.contract.findings import Finding, finding
from ampy_conformance.contract.lint import DEAD, Examined, Linter

if TYPE_CHECKING:
    from ampy_conformance.contract.envelope import Envelope
    from ampy_conformance.contract.model import Contract

# Entries that each table remembers; the oldest goes first. Bounds memory on endless streams.
REMEMBERED = 500_000


class _Table(OrderedDict[Any, Any]):
    """A mapping that forgets its oldest entries."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


class StreamLinter:
    """Feed it the records of a stream in stored order."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._linter: Linter | None = None
        self._ids = _Table()
        self._last = _Table()
        self._runs = _Table()
        self._key_of = _Table()
        self._entity_of = _Table()
        self._times = _Table()

    def feed(self, envelope: Envelope, examined: Examined | None = None) -> list[Finding]:
        """Return what this record shows together with those before it.

        Pass what `Linter.examine` gave for the record, or it is examined again.
        """
        if examined is None:
            self._linter = self._linter or Linter(self._contract)
            examined = self._linter.examine(envelope)
        found: list[Finding] = []
        headers, topic = envelope.headers, examined.topic
        if topic is None or topic.domain == DEAD:
            return found
        self._identity(envelope, found)
        producer, run = headers.get("producer"), headers.get("run_id")
        if producer and run:
            self._order_of_ids(producer, run, headers.get("message_id", ""), found)
            if self._runs.get(producer, run) != run:
                says = f"{run} after {self._runs[producer]}"
                wanted = "one run a producer, unless it was restarted"
                found.append(finding(self._contract, "HDR-14", "run_id", says, wanted, "warn"))
            self._runs[producer] = run
        if examined.message is not None and examined.schema is not None:
            self._entity(envelope, examined, found)
        return found

    def finish(self) -> list[Finding]:
        """Return what only the end of the stream shows (nothing yet)."""
        return []

    def _identity(self, envelope: Envelope, found: list[Finding]) -> None:
        identity = envelope.headers.get("message_id", "").lower()
        if not identity:
            return
        mark = (envelope.topic, hashlib.sha256(envelope.payload or b"").digest())
        if self._ids.setdefault(identity, mark) != mark:
            wanted = "an id that no other record has"
            found.append(finding(self._contract, "HDR-02", "message_id", identity, wanted))

    def _order_of_ids(self, producer: str, run: str, identity: str, found: list[Finding]) -> None:
        stamp = identity.replace("-", "").lower()[:12]
        last = self._last.get((producer, run), "")
        if stamp < last:
            wanted = f"no earlier than the record before it from {producer}"
            found.append(finding(self._contract, "HDR-03", "message_id", identity, wanted))
        else:
            self._last[producer, run] = stamp

    def _entity(self, envelope: Envelope, examined: Examined, found: list[Finding]) -> None:
        contract, topic = self._contract, examined.topic
        assert topic is not None
        assert examined.schema is not None
        domain = contract.domains[topic.domain]
        key = envelope.headers.get("partition_key")
        rows = keys.parts_of(domain, topic, examined.schema, examined.message)
        many = any("[]" in path for path in domain.parts.values())
        if not key or not rows or many:
            return
        if not domain.key.unspecified:
            entity = (domain.name, domain.key.form.format_map(rows[0]))
            first = self._key_of.setdefault(entity, key)
            if first != key:
                wanted = f"{first}, as an earlier record of the entity has"
                found.append(finding(contract, "KEY-det", "partition_key", key, wanted))
            elif key == entity[1]:
                owner = self._entity_of.setdefault(
                    (domain.name, key), tuple(sorted(rows[0].items()))
                )
                if owner != tuple(sorted(rows[0].items())):
                    wanted = "a key that no other entity has"
                    found.append(finding(contract, "KEY-det", "partition_key", key, wanted))
        if domain.order.rule == "monotonic" and domain.order.field:
            who = (
                envelope.headers.get("producer"),
                envelope.headers.get("run_id"),
                topic.domain,
                key,
            )
            self._monotonic(who, examined, domain.order.clause, domain.order.field, found)

    def _monotonic(
        self, who: Any, examined: Examined, clause: str, field: str, found: list[Finding]
    ) -> None:
        assert examined.topic is not None
        assert examined.schema is not None
        domain = self._contract.domains[examined.topic.domain]
        for each in payloads.elements(domain, examined.schema, examined.message):
            stamp = getattr(each, field)
            at = (stamp.seconds, stamp.nanos)
            if at < self._times.get(who, at):
                shown = stamp.ToJsonString()
                wanted = "no earlier than the record before it in its key"
                found.append(finding(self._contract, clause, field, shown, wanted))
            else:
                self._times[who] = at
