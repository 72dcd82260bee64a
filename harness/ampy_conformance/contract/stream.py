"""Judge what only several records show: ids, runs, keys of one entity, times of one key."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract.findings import Finding, finding
from ampy_conformance.contract.lint import DEAD, Examined, Linter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.contract.envelope import Envelope
    from ampy_conformance.contract.model import Contract, Domain

# Entries that each table remembers; the oldest goes first. Bounds memory on endless streams.
REMEMBERED = 500_000
# Hex digits of an id that are its time.
STAMP = 12


class _Table(OrderedDict[Any, Any]):
    """A mapping that forgets its oldest entries."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


class StreamLinter:
    """Feed it the records of a stream in stored order.

    A record that is there again, with its id, topic and payload, is a redelivery, a retry or a
    replay: it keeps its id and its times (HDR-04), so nothing of order is held against it.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._linter: Linter | None = None
        # One record of these domains belongs to several keys; any of them is right.
        self._several = {
            name
            for name, each in contract.domains.items()
            if any("[]" in path for path in each.parts.values())
        }
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
        topic = examined.topic
        if topic is None or topic.domain == DEAD or self._again(envelope, found):
            return found
        self._runs_and_ids(envelope.headers, found)
        key = envelope.headers.get("partition_key")
        if key and examined.rows and topic.domain not in self._several:
            domain = self._contract.domains[topic.domain]
            if not domain.key.unspecified:
                self._keys(domain, key, examined.rows[0], found)
            if domain.order.rule == "monotonic" and domain.order.field:
                self._monotonic(envelope.headers, key, domain, examined, found)
        return found

    def finish(self) -> list[Finding]:
        """Return what only the end of the stream shows (nothing yet)."""
        return []

    def _again(self, envelope: Envelope, found: list[Finding]) -> bool:
        """Tell whether this record was there before; another one under its id is a finding."""
        identity = envelope.headers.get("message_id", "").lower()
        if not identity:
            return False
        mark = (envelope.topic, _digest(envelope))
        before = self._ids.setdefault(identity, mark)
        if before is mark:
            return False
        if before == mark:
            return True
        wanted = "an id that no other record has"
        found.append(finding(self._contract, "HDR-02", "message_id", identity, wanted))
        return False

    def _runs_and_ids(self, headers: Mapping[str, str], found: list[Finding]) -> None:
        producer, run = headers.get("producer"), headers.get("run_id")
        if not producer or not run:
            return
        before = self._runs.get(producer)
        if before != run:
            self._runs[producer] = run
            if before is not None:
                wanted = "one run a producer, unless it was restarted"
                says = f"{run} after {before}"
                found.append(finding(self._contract, "HDR-14", "run_id", says, wanted, "warn"))
        identity = headers.get("message_id", "")
        stamp = identity.replace("-", "").lower()[:STAMP]
        if len(stamp) < STAMP:
            return  # it is missing or malformed, which was found already
        last = self._last.get((producer, run), "")
        if stamp < last:
            wanted = f"no earlier than the record before it from {producer}"
            found.append(finding(self._contract, "HDR-03", "message_id", identity, wanted))
        elif stamp > last:
            self._last[producer, run] = stamp

    def _keys(self, domain: Domain, key: str, row: Mapping[str, str], found: list[Finding]) -> None:
        """One entity has one key, and one key one entity (KEY-det)."""
        entity = (domain.name, *row.values())
        first = self._key_of.setdefault(entity, key)
        if first != key:
            wanted = f"{first}, as an earlier record of the entity has"
            found.append(finding(self._contract, "KEY-det", "partition_key", key, wanted))
            return
        owner = self._entity_of.setdefault((domain.name, key), entity)
        # A tolerated form may be coarser than the entity: order is kept all the same.
        if owner != entity and key not in [form.format_map(row) for form in domain.key.tolerated]:
            wanted = "a key that no other entity has"
            found.append(finding(self._contract, "KEY-det", "partition_key", key, wanted))

    def _monotonic(
        self,
        headers: Mapping[str, str],
        key: str,
        domain: Domain,
        examined: Examined,
        found: list[Finding],
    ) -> None:
        """Judge the times within a key, for each producer's run by itself (A-31)."""
        field = domain.order.field or ""
        who = (headers.get("producer"), headers.get("run_id"), domain.name, key)
        last = self._times.get(who)
        for each in examined.entities:
            stamp = getattr(each, field)
            at = (stamp.seconds, stamp.nanos)
            if last is not None and at < last:
                wanted = "no earlier than the record before it in its key"
                shown = f"{stamp.seconds}.{stamp.nanos:09d} s"  # which need be no time at all
                found.append(finding(self._contract, domain.order.clause, field, shown, wanted))
            last = at if last is None else max(at, last)
        if last is not None:
            self._times[who] = last


def _digest(envelope: Envelope) -> object:
    """Return what tells two records of a topic apart: the payload, or what stands for it."""
    if envelope.payload:
        return hashlib.sha256(envelope.payload).digest()
    if envelope.payload_json is not None:
        return hashlib.sha256(json.dumps(envelope.payload_json, sort_keys=True).encode()).digest()
    names = ("partition_key", "dedupe_key", "produced_at", "blob_hash")
    return tuple(envelope.headers.get(name) for name in names)
