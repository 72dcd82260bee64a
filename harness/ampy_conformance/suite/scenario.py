"""One scenario for every binding: what came of it, with nothing in it that may differ (BND-09).

The same seeded records go through a binding: every domain through two producers, a record of
128 KiB and more, some that must be refused, a handler that fails twice and one that always fails,
duplicates by id and by dedupe key, poison. What is kept of each is logical: topic, headers, body,
order, effects, dead letters. Ids, times and positions belong to a run and are only noted as present.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ampy_conformance.suite.lab import Lab
from ampy_conformance.suite.wire import body_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.broker import WireRecord
    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.suite.bus import Delivery, Published
    from ampy_conformance.suite.session import Session

# Headers whose value is of one run: that they are there is compared, what they say is not.
OF_THE_RUN = ("message_id", "produced_at", "trace_id", "span_id", "traceparent", "dlq_router")
LARGE = 200_000
PRODUCERS = ("load@1", "load@2")
Observation = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What one binding made of the scenario: by aspect, then by what is observed in it."""

    driver: str
    aspects: Mapping[str, Mapping[str, Any]]


def run(session: Session, name: str) -> Outcome:
    """Take a binding through the scenario; raises `Verdict` where a control fails."""
    lab = Lab(session, "scenario")
    try:
        return Outcome(name, _observe(lab))
    finally:
        lab.close()


def _observe(lab: Lab) -> dict[str, dict[str, Any]]:
    bus = lab.bus()
    labels: dict[str, str] = {}

    def named(label: str, sample: Sample) -> Sample:
        labels[sample.digest] = label
        return sample

    twice = named("fails twice", lab.sample("bars", entity=5))
    always = named("fails always", lab.sample("bars", entity=6))
    script = {twice.digest: 2, always.digest: 1_000_000}

    def handler(delivery: Delivery) -> str:
        left = script.get(delivery.digest, 0)
        script[delivery.digest] = left - 1
        return "fail" if left > 0 else "ack"

    subscription = bus.subscribe("ampy.dev.>", handler=handler, group="everything")
    producers = [bus.producer(name=each) for each in PRODUCERS]
    published: list[tuple[str, Published]] = []
    for domain in lab.publishable():
        for number, producer in enumerate(producers):
            wanted = [
                named(f"{domain} {number}.{n}", lab.sample(domain, entity=number)) for n in (0, 1)
            ]
            published += [(labels[e.sample.digest], e) for e in producer.publish(*wanted)]
    large = named("large", lab.sample("news", size=LARGE))
    published += [("large", each) for each in producers[0].publish(large)]
    published += [(f"refused: {what}", each) for what, each in _refused(lab, producers[0])]
    sound = [e for label, e in published if not label.startswith("refused")]
    lab.control(
        all(e.outcome == "ok" for e in sound), "valid records were not acknowledged by the binding"
    )

    for each in (twice, always):
        lab.inject(each)
    first = next(e.sample for label, e in published if label == "orders 0.0")
    stored = next(iter(lab.on_wire(first)), None)
    lab.control(stored, "an acknowledged record is not on the wire")
    assert stored is not None
    lab.inject_raw(stored.topic, stored.header_map(), stored.payload)
    again = named("other id, same dedupe key", lab.sample("orders", entity=0))
    lab.inject(lab.keyed_like(again, stored, dedupe_key=stored.header("dedupe_key") or ""))
    undecodable = b"\x0a\xff"
    lab.inject(lab.sample("bars", entity=7), payload=undecodable)
    labels[hashlib.sha256(undecodable).hexdigest()] = "undecodable"
    for entity in (0, 5, 6, 7):
        sentinel = named(f"sentinel {entity}", lab.sample("bars", entity=entity))
        lab.inject(sentinel)
        lab.deliver_control(subscription, sentinel)
    # What does not come in time is a difference, where the machine is fit to say so.
    firsts = {
        (e.sample.topic, e.sample.dedupe_key or e.sample.digest): e.sample for e in sound[::-1]
    }
    # A group that comes late finds a backlog: there the order within a key is put to the test.
    late = bus.subscribe("ampy.dev.>", group="late", credit=2)
    there = [lab.arrived(each, *firsts.values()) for each in (subscription, late)]
    if not (all(there) and lab.dead_letter(lab.about(always))):
        lab.fit()
    return {
        "publishes": {label: [e.outcome, e.code] for label, e in published},
        "records": _records(lab, labels),
        "order": _order(lab, labels),
        "effects": _effects(subscription.deliveries, labels),
        "delivery order": _delivery_order(late.deliveries, labels),
        "dead letters": _graves(lab, labels),
    }


def _refused(lab: Lab, producer: Any) -> list[tuple[str, Published]]:
    """Publish what no binding may take."""
    wrong = {
        "no such domain": lab.on_topic(lab.sample(), "ampy.dev.candles.v1.XNAS.AAPL"),
        "wildcard": lab.on_topic(lab.sample(), "ampy.dev.bars.v1.*"),
        "payload of another domain": replace(lab.sample(), schema_fqdn="ampy.fx.v1.FxRate"),
        "too large": lab.sample("news", size=2_000_000, compressible=False),
    }
    return [(what, producer.publish(each)[0]) for what, each in wrong.items()]


def _records(lab: Lab, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return every stored live record as the contract sees it."""
    found: dict[str, Any] = {}
    for each in lab.stored():
        label = labels.get(_body(each))
        if label is not None and label != "undecodable":
            found.setdefault(label, _logical(lab, each))
    return found


def _logical(lab: Lab, record: WireRecord) -> Observation:
    headers = {
        name.lower(): value for name, value in record.headers if not lab.broker.is_transport(name)
    }
    return {
        "topic": record.topic,
        "body": _body(record),
        "headers": {n: "(of the run)" if n in OF_THE_RUN else v for n, v in headers.items()},
    }


def _order(lab: Lab, labels: Mapping[str, str]) -> dict[str, list[str]]:
    """Return, for every topic and key, the records in the order in which they are stored."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in lab.stored():
        if label := labels.get(_body(each)):
            found[f"{each.topic} {each.header('partition_key')}"].append(label)
    return dict(found)


def _effects(deliveries: list[Delivery], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what the handler saw of each record: attempts, effects, topic and key."""
    found: dict[str, Any] = {}
    for each in list(deliveries):
        label = labels.get(each.digest)
        if label is None:
            continue
        seen = found.setdefault(label, {"attempts": 0, "effects": 0})
        seen["attempts"] += 1
        seen["effects"] += each.verdict == "ack"
        seen |= {"topic": each.topic, "key": each.header("partition_key")}
    return found


def _delivery_order(deliveries: list[Delivery], labels: Mapping[str, str]) -> dict[str, list[str]]:
    """Return, for every topic and key, the records in the order of their first deliveries."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in list(deliveries):
        label, lane = labels.get(each.digest), f"{each.topic} {each.header('partition_key')}"
        if label is not None and label not in found[lane]:
            found[lane].append(label)
    return dict(found)


def _graves(lab: Lab, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return every dead letter; of its reason the class, the detail is the binding's own."""
    found: dict[str, Any] = {}
    for each in lab.stored(dead=True):
        label = labels.get(_body(each), labels.get(hashlib.sha256(each.payload).hexdigest()))
        logical = _logical(lab, each)
        reason = str(logical["headers"].get("dlq_reason", ""))
        logical["headers"]["dlq_reason"] = reason.partition(":")[0]
        found[label or "unknown"] = logical
    return found


def _body(record: WireRecord) -> str:
    return body_digest(record) or hashlib.sha256(record.payload).hexdigest()


def differences(one: Outcome, other: Outcome) -> dict[str, list[str]]:
    """Return, by aspect, where two outcomes of the scenario differ; empty lists where they agree."""
    return {
        aspect: [
            f"{label}: {_told(mine.get(label), other.aspects[aspect].get(label))}"
            for label in sorted({*mine, *other.aspects[aspect]})
            if mine.get(label) != other.aspects[aspect].get(label)
        ]
        for aspect, mine in one.aspects.items()
    }


def _told(mine: Any, other: Any, path: str = "") -> str:
    """Say where two observations part, and no more of them than that."""
    if isinstance(mine, dict) and isinstance(other, dict):
        names = [n for n in dict.fromkeys((*mine, *other)) if mine.get(n) != other.get(n)]
        return "; ".join(_told(mine.get(n), other.get(n), f"{path}{n} ") for n in names)
    return f"{path}{_short(mine)} / {_short(other)}"


def _short(value: Any, limit: int = 300) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
