"""The eight standard metrics (OBS-01 to OBS-09): their names, labels and values, read as Prometheus does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

TOPICS = "ampy.dev.bars.v1.>"
OLD_SECONDS = 3600
NOT_BURIED = "what had to become dead letters did not"


@dataclass(frozen=True)
class Quiet:
    """One quiet scenario, counted by the suite: what the metrics have to agree with.

    `produced`, `consumed`, `dead` and `retried` are records by topic, `first` those that a handler
    was given, `sizes` what the records weigh (payloads, with headers) on the way out and, if that
    is counted too, on the way in; `before` and `after` are the scrapes around it. `recovered`: the record that failed at first took effect in the end;
    `buried`: what had to become a dead letter did.
    """

    produced: dict[str, int]
    consumed: dict[str, int]
    dead: dict[str, int]
    retried: dict[str, int]
    first: dict[str, int]
    sizes: dict[str, dict[int, tuple[int, int]]]
    undecodable: str
    violating: str
    before: Any
    after: Any
    group: str
    producer: str
    recovered: bool
    buried: bool

    def grown(self, name, **labels):
        """Return by how much a counter has grown over the scenario."""
        return self.after.total(name, **labels) - self.before.total(name, **labels)

    def taken(self, name):
        """Return what counts as consumed: section 11 leaves open whether records that a handler
        was given, or those that it handled; a binding may do either."""
        seen = {topic: self.grown(name, topic=topic) for topic in self.first}
        return self.first if seen == self.first else self.consumed

    def judge(self, lab, clause, name, wanted, labels, says):
        """Judge a counter: its type, its labels, and its growth per topic."""
        series = self.after.find(name)
        lab.true(clause, series, f"there is no {name}", expected=name.replace(".", "_"))
        missing = [each for each in labels if not all(one.labels.get(each) for one in series)]
        lab.equal(clause, [], missing, f"{name} lacks labels")
        kind = self.after.kind(name)
        lab.true(clause, kind == "counter", f"{name} is no counter", expected="counter", seen=kind)
        seen = {topic: self.grown(name, topic=topic) for topic in wanted}
        lab.equal(clause, wanted, seen, says)


def _again(subscription, delivery):
    """Tell whether a delivery is a retry: the one before it failed. A duplicate is none."""
    before = [e for e in subscription.of(delivery.digest) if e.order < delivery.order]
    return bool(before) and before[-1].verdict == "fail"


@pytest.fixture(scope="session")
def quiet(shared_lab):
    """Publish, handle, retry, duplicate and bury some records, and scrape around it."""
    lab = shared_lab()
    bus = lab.bus()
    one, two = ([lab.sample("bars", entity=entity) for _ in range(4)] for entity in (0, 1))
    shaky, poison = one[1], two[1]
    undecodable, violating = (lab.sample("bars", entity=each) for each in (2, 3))
    old = lab.sample("bars", entity=4)
    troubled = {shaky.digest: lab.failing(shaky, times=2), poison.digest: lab.failing(poison)}

    def handler(delivery):
        return troubled.get(delivery.digest, lambda _: "ack")(delivery)

    before = bus.scrape()
    subscription = bus.subscribe(TOPICS, group="meters", handler=handler)
    producer = bus.producer(name="meter@1")
    results = producer.publish(*one, *two)
    lab.control(all(each.outcome == "ok" for each in results), "records were not acknowledged")
    lab.inject(undecodable, payload=b"\x0a\xff")
    lab.inject(violating, drop=("schema_version",))
    lab.inject(old, produced_at=lab.ago(OLD_SECONDS))
    again = lab.on_wire(one[0])
    lab.control(again, "an acknowledged record is not on the wire")
    lab.inject_raw(again[0].topic, again[0].header_map(), again[0].payload)  # a duplicate
    sentinel = lab.sample("bars", entity=0)
    lab.inject(sentinel)
    fine = [each for each in (*one, *two, old, sentinel) if each not in (shaky, poison)]
    lab.deliver_control(subscription, *fine)
    recovered = lab.arrived(subscription, shaky)
    buried = lab.wire.wait_until(lambda: len(lab.stored(dead=True)) == 3, lab.patience(6.0))

    effects = [each for each in subscription.deliveries if each.verdict == "ack"]
    tries = [each for each in subscription.deliveries if _again(subscription, each)]
    starts = [each for each in subscription.deliveries if not _again(subscription, each)]
    topics = sorted({each.topic for each in (*one, *two)})
    sent = {topic: [e.sample for e in results if e.sample.topic == topic] for topic in topics}
    wire = {topic: [r for each in sent[topic] for r in lab.on_wire(each)[:1]] for topic in topics}

    def by_topic(events):
        return {each.topic: sum(e.topic == each.topic for e in events) for each in events}

    def weighed(bodies):
        """Return payload bytes, and those with headers, of (size, headers) pairs."""
        payloads = sum(size for size, _ in bodies)
        return payloads, payloads + sum(len(n) + len(v) + 4 for _, each in bodies for n, v in each)

    def sizes(topic):
        out = [(len(each.payload), each.headers) for each in wire[topic]]
        found = {len(out): weighed(out)}
        for events in (starts, subscription.deliveries):
            into = [(each.size, each.headers.items()) for each in events if each.topic == topic]
            found[len(out) + len(into)] = weighed(out + into)
        return found

    quiet = Quiet(
        produced={topic: len(each) for topic, each in sent.items()},
        consumed=by_topic(effects),
        dead={each.topic: 1 for each in (poison, undecodable, violating)},
        retried=by_topic(tries),
        first=by_topic(starts),
        sizes={topic: sizes(topic) for topic in topics},
        undecodable=undecodable.topic,
        violating=violating.topic,
        before=before,
        after=before,
        group=subscription.told_group,
        producer="meter@1",
        recovered=recovered,
        buried=buried,
    )
    if not buried:
        return Quiet(**{**vars(quiet), "after": bus.scrape()})
    # Counting may come a moment after the answer; it does not go on coming.
    lab.eventually(
        lambda: bus.scrape().total("bus.dlq_total") - before.total("bus.dlq_total") >= 3, 1.0
    )
    return Quiet(**{**vars(quiet), "after": bus.scrape()})


@pytest.mark.clause("OBS-01")
def test_produced_records_are_counted(lab, quiet):
    """`bus.produced_total{topic,producer}` grows by the acknowledged publishes."""
    says = "produced_total does not agree with the acknowledged publishes"
    quiet.judge(lab, "OBS-01", "bus.produced_total", quiet.produced, ("topic", "producer"), says)
    mine = quiet.grown("bus.produced_total", producer=quiet.producer)
    lab.equal("OBS-01", sum(quiet.produced.values()), mine, "the producer label is not its name")


@pytest.mark.clause("OBS-02")
def test_consumed_records_are_counted(lab, quiet):
    """`bus.consumed_total{topic,consumer}` grows by the handled records."""
    says = "consumed_total does not agree with the handled records"
    wanted = quiet.taken("bus.consumed_total")
    quiet.judge(lab, "OBS-02", "bus.consumed_total", wanted, ("topic", "consumer"), says)


@pytest.mark.clause("OBS-03")
def test_latency_is_a_histogram_in_milliseconds(lab, quiet):
    """`bus.delivery_latency_ms{topic}` has buckets, counts deliveries, and measures from produced_at."""
    name = "bus.delivery_latency_ms"
    kind = quiet.after.kind(f"{name}_bucket")
    lab.true("OBS-03", kind == "histogram", f"{name} is no histogram", seen=kind)
    counted = {topic: quiet.grown(f"{name}_count", topic=topic) for topic in quiet.first}
    wrong = {
        topic: [seen, quiet.first[topic]]
        for topic, seen in counted.items()
        if seen != quiet.first[topic]
    }
    lab.equal("OBS-03", {}, wrong, "its count is not the number of first deliveries")
    topic = next(iter(quiet.first))
    bounds = sorted(float(each.labels["le"]) for each in _buckets(quiet.after, name, topic))
    finite = [each for each in bounds if each != float("inf")]
    fit = len(finite) >= 3 and any(each <= 50 for each in finite) and max(finite) >= 150
    lab.true(
        "OBS-03",
        fit,
        "p50, p95 and p99 against 50 and 150 ms do not derive from its buckets",
        seen=finite,
    )
    rows = [each.value for each in _buckets(quiet.after, name, topic)]
    lab.true("OBS-03", rows == sorted(rows), "its buckets are not cumulative", seen=rows)
    total = quiet.grown(f"{name}_sum")
    lab.true(
        "OBS-03",
        OLD_SECONDS * 1000 <= total < OLD_SECONDS * 10_000,
        "it does not measure milliseconds from produced_at to delivery",
        expected=f"a record {OLD_SECONDS} s old among some new ones",
        seen=round(total, 3),
    )


def _buckets(scrape, name, topic):
    found = scrape.find(f"{name}_bucket", topic=topic)
    return sorted(found, key=lambda each: float(each.labels["le"]))


@pytest.mark.clause("OBS-04")
def test_sizes_are_a_histogram_of_bytes(lab, quiet):
    """`bus.batch_size_bytes{topic}` counts what was produced, and sums up bytes on the wire.

    Section 11 does not say on which side: a binding may count what was consumed as well.
    """
    name = "bus.batch_size_bytes"
    kind = quiet.after.kind(f"{name}_bucket")
    lab.true("OBS-04", kind == "histogram", f"{name} is no histogram", seen=kind)
    for topic, sizes in quiet.sizes.items():
        count = quiet.grown(f"{name}_count", topic=topic)
        says = "its count is not the number of published records"
        lab.true("OBS-04", count in sizes, says, expected=quiet.produced[topic], seen=count)
        payload, whole = sizes[count]
        total = quiet.grown(f"{name}_sum", topic=topic)
        lab.true(
            "OBS-04",
            payload <= total <= whole,
            "its sum is not the bytes of the records",
            expected=f"{payload} (payloads) to {whole} (with headers)",
            seen=total,
        )


@pytest.mark.clause("OBS-05")
def test_lag_is_a_gauge_that_rises_and_falls(lab):
    """`bus.consumer_lag{topic,consumer}` shows what waits, also while no record arrives."""
    bus = lab.bus()
    subscription = bus.subscribe(TOPICS, group="slow", credit=1, handler=lambda _: None)
    wanted = [lab.sample("bars", entity=each) for each in range(6)]
    for each in wanted:
        lab.inject(each)

    def gauge():
        return bus.scrape().total("bus.consumer_lag", consumer=subscription.told_group)

    lab.control(lab.delivered_one(subscription, *wanted), "no valid record was delivered")
    there = lab.eventually(lambda: bool(bus.scrape().find("bus.consumer_lag")))
    lab.must("OBS-05", there, "there is no bus.consumer_lag")
    found = bus.scrape().find("bus.consumer_lag")
    missing = [e for e in ("topic", "consumer") if not all(s.labels.get(e) for s in found)]
    lab.equal("OBS-05", [], missing, "bus.consumer_lag lacks labels")
    rose = lab.eventually(lambda: gauge() >= 5)
    lab.must("OBS-05", rose, "the gauge does not show the waiting records", seen=gauge())
    subscription.handler = lambda _: "ack"
    for each in subscription.hanging():
        subscription.settle(each, "ack")
    lab.control(lab.arrived(subscription, *wanted), "the records could not be settled")
    lab.must("OBS-05", lab.eventually(lambda: gauge() == 0), "the gauge stays up", seen=gauge())


@pytest.mark.clause("DLQ-09")
def test_poison_raises_the_metric(lab, quiet):
    """Every dead letter raises `bus.dlq_total`, on which an alert can be set."""
    lab.covered(quiet.buried, NOT_BURIED)
    grown = quiet.grown("bus.dlq_total")
    lab.equal("DLQ-09", len(quiet.dead), grown, "poison does not raise bus.dlq_total")


@pytest.mark.clause("OBS-06")
def test_dead_letters_are_counted_by_cause(lab, quiet):
    """`bus.dlq_total{topic,reason}` grows by one a dead letter, under its original topic."""
    lab.covered(quiet.buried, NOT_BURIED)
    says = "dlq_total does not agree with the dead letters"
    quiet.judge(lab, "OBS-06", "bus.dlq_total", quiet.dead, ("topic", "reason"), says)


@pytest.mark.clause("OBS-06")
def test_reasons_are_a_bounded_set(lab):
    """Sixty broken records do not make sixty reasons (A-43: at most 50)."""
    bus = lab.bus()
    subscription = bus.subscribe(TOPICS)
    before = bus.scrape()
    wanted = [lab.sample("bars", entity=each) for each in range(60)]
    for each in wanted:
        lab.inject(each, payload=b"\x0a\xff")
    sentinel = lab.sample("bars", entity=0)
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)
    stored = lab.wire.wait_until(lambda: len(lab.stored(dead=True)) >= 60, lab.patience(10.0))
    lab.covered(stored, "the broken records did not become dead letters")

    def new():
        return bus.scrape().total("bus.dlq_total") - before.total("bus.dlq_total")

    lab.must("OBS-06", lab.eventually(lambda: new() >= 60), "dead letters are missing", seen=new())
    reasons = {each.labels.get("reason") for each in bus.scrape().find("bus.dlq_total")}
    limit = lab.session.contract.metrics["reason_limit"]
    lab.true("OBS-06", len(reasons) <= limit, "the reason label is not bounded", seen=len(reasons))


@pytest.mark.clause("OBS-07")
def test_retries_are_counted(lab, quiet):
    """`bus.retry_total{topic,reason}` grows by one an attempt after the first."""
    lab.covered(quiet.recovered, "the record that failed at first was not tried again")
    says = "retry_total does not agree with the attempts"
    quiet.judge(lab, "OBS-07", "bus.retry_total", quiet.retried, ("topic", "reason"), says)


@pytest.mark.clause("OBS-08")
def test_only_decode_failures_are_decode_failures(lab, quiet):
    """`bus.decode_fail_total{topic,reason}` grows by the undecodable record and by no other."""
    wanted = {quiet.undecodable: 1}
    says = "decode_fail_total does not count the undecodable record"
    quiet.judge(lab, "OBS-08", "bus.decode_fail_total", wanted, ("topic", "reason"), says)
    total = quiet.grown("bus.decode_fail_total")
    lab.equal("OBS-08", 1, total, "what is no decode failure is counted as one")


@pytest.mark.clause("OBS-09")
def test_what_did_not_happen_is_not_counted(lab, quiet):
    """A refused publish is not produced, a suppressed duplicate not consumed; sums agree."""
    total = quiet.grown("bus.consumed_total", consumer=quiet.group)
    says = "consumed_total counts what had no effect, or misses what had"
    lab.equal("OBS-09", sum(quiet.taken("bus.consumed_total").values()), total, says)

    bus = lab.bus(publish_attempts=2, backoff_base_ms=10)
    producer = bus.producer(name="meter@2")
    before = bus.scrape()
    first, lost, last = lab.series(3)
    lab.control(producer.publish(first)[0].outcome == "ok", "a valid record was not acknowledged")
    lab.refuse_records()
    refused = producer.publish(lost)[0]
    lab.accept_records()
    lab.control(producer.publish(last)[0].outcome == "ok", "a valid record was not acknowledged")
    lab.covered(refused.outcome != "ok", "the broker took the record all the same")

    def grown():
        after = bus.scrape()
        return after.total("bus.produced_total", producer="meter@2") - before.total(
            "bus.produced_total", producer="meter@2"
        )

    lab.must("OBS-09", lab.eventually(lambda: grown() >= 2), "publishes are not counted")
    lab.equal("OBS-09", 2.0, grown(), "a refused publish is counted as produced")
