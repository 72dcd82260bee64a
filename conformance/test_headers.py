"""Headers (HDR): what the binding writes, and what it keeps on the way."""

from __future__ import annotations

import datetime as dt
import re

import pytest

STATIC = (
    "HDR-01", "HDR-05", "HDR-06", "HDR-07", "HDR-08", "HDR-09", "HDR-10", "HDR-12", "HDR-13",
    "HDR-15", "HDR-16", "HDR-17", "HDR-18", "HDR-19", "HDR-22", "HDR-23",
)  # fmt: skip


@pytest.mark.parametrize(
    "clause", [pytest.param(each, marks=pytest.mark.clause(each)) for each in STATIC]
)
def test_headers_on_the_wire(lab, gallery, clause):
    """Every record that the binding published keeps the clause, byte for byte."""
    gallery.judge(lab, clause)


@pytest.mark.clause("HDR-02")
def test_no_two_records_share_an_id(lab, gallery):
    """Records of two producers, all different, have ids that are all different."""
    lab.covered(len(gallery.rows) >= 2, "fewer than two records on the wire")
    ids = [wire.header("message_id") for _, _, wire in gallery.rows]
    lab.control(None not in ids, "a record without message_id cannot be compared")
    lab.equal("HDR-02", len(ids), len({each.lower() for each in ids}), "ids are shared")


@pytest.mark.clause("HDR-03")
def test_ids_of_one_producer_sort_in_creation_order(lab):
    """Ids of successive publishes of one producer never go back, at ms resolution."""
    producer = lab.bus().producer()
    wanted = lab.series(30)
    results = [producer.publish(each)[0] for each in wanted]
    lab.control(all(each.outcome == "ok" for each in results), "publishes were not acknowledged")
    wires = [lab.on_wire(each) for each in wanted]
    lab.control(all(wires), "acknowledged records are not on the wire")

    ids = [each[0].header("message_id") or "" for each in wires]
    stamps = [each.replace("-", "").lower()[:12] for each in ids]
    lab.equal("HDR-03", sorted(stamps), stamps, "the time in the ids goes back")
    lab.true("HDR-03", len(set(ids)) == len(ids), "ids repeat")


@pytest.mark.clause("HDR-04")
def test_the_id_survives_redelivery(lab):
    """A record that is handled again after a failure still has the id it was published with."""
    bus = lab.bus()
    sample = lab.sample()
    subscription = bus.subscribe("ampy.dev.bars.v1.>", handler=lab.failing(sample, times=1))
    lab.publish(bus, sample)
    lab.deliver_control(subscription, sample)
    published = lab.on_wire(sample)[0].header("message_id")

    deliveries = subscription.of(sample.digest)
    lab.covered(len(deliveries) >= 2, "no second delivery was seen")
    ids = {each.header("message_id") for each in deliveries}
    lab.equal("HDR-04", {published}, ids, "the id changed between attempts")


@pytest.mark.clause("HDR-11")
def test_produced_at_is_the_time_of_the_publish(lab):
    """produced_at lies between the call of publish and its return, and delivery keeps it."""
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.bars.v1.>")
    sample = lab.sample()
    result = lab.publish(bus, sample)[0]
    lab.deliver_control(subscription, sample)
    stamp = lab.on_wire(sample)[0].header("produced_at") or ""
    lab.control(
        re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)", stamp), "no readable produced_at"
    )

    at = dt.datetime.fromisoformat(stamp).timestamp()
    # A stamp may be cut to the second; the clocks are the same.
    inside = result.called - 1.0 <= at <= result.returned + 0.5
    lab.true("HDR-11", inside, "produced_at is not when the record was published", seen=stamp)
    delivered = subscription.of(sample.digest)[0].header("produced_at")
    lab.equal("HDR-11", stamp, delivered, "produced_at was rewritten on the way")


GIVEN = {"HDR-12": "name", "HDR-13": "source", "HDR-14": "run_id"}
NAMES = {"HDR-12": "producer", "HDR-13": "source", "HDR-14": "run_id"}


@pytest.mark.parametrize(
    "clause",
    [
        pytest.param("HDR-12", marks=pytest.mark.clause("HDR-12")),
        pytest.param("HDR-13", marks=pytest.mark.clause("HDR-13")),
        pytest.param("HDR-14", marks=pytest.mark.clause("HDR-14")),
    ],
)
def test_the_producer_says_who_it_is(lab, gallery, clause):
    """producer, source and run_id on the wire are those the producer was opened with."""
    lab.control(gallery.rows, "no record of the gallery reached the wire")
    expected = [getattr(producer, GIVEN[clause]) for producer, _, _ in gallery.rows]
    seen = [wire.header(NAMES[clause]) for _, _, wire in gallery.rows]
    lab.equal(clause, expected, seen, f"{NAMES[clause]} is not what the producer was opened with")


@pytest.mark.clause("HDR-05", "HDR-06")
def test_the_schema_is_the_one_that_was_published(lab, gallery):
    """schema_fqdn and schema_version on the wire are those of the payload, in every domain."""
    lab.control(gallery.rows, "no record of the gallery reached the wire")
    for clause, name in (("HDR-05", "schema_fqdn"), ("HDR-06", "schema_version")):
        for _, published, wire in gallery.rows:
            expected, seen = getattr(published.sample, name), wire.header(name)
            lab.equal(clause, expected, seen, f"{name} is not what was published")


@pytest.mark.clause("HDR-15", "HDR-16")
def test_an_active_trace_is_carried(lab):
    """A record published inside a trace carries its id, and a traceparent that agrees."""
    trace = {"trace_id": "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812", "span_id": "00f067aa0ba902b7"}
    bus = lab.bus()
    sample = lab.sample()
    lab.publish(bus, sample, trace=trace)
    wires = lab.on_wire(sample)
    lab.control(wires, "an acknowledged record is not on the wire")

    lab.equal("HDR-15", trace["trace_id"], wires[0].header("trace_id"), "the trace was not carried")
    parent = wires[0].header("traceparent")
    agrees = parent is None or re.fullmatch(
        rf"00-{trace['trace_id']}-[0-9a-f]{{16}}-[0-9a-f]{{2}}", parent
    )
    lab.true("HDR-16", agrees, "traceparent does not agree with trace_id", seen=parent)


@pytest.mark.clause("HDR-20")
def test_no_live_record_has_a_dlq_reason(lab, gallery):
    """dlq_reason is on no live record; that dead letters have one is judged with DLQ-06."""
    gallery.judge(lab, "HDR-20")


@pytest.mark.clause("HDR-25")
def test_an_unknown_header_does_not_disturb(lab):
    """A record with headers of a later version is handled like any other."""
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.bars.v1.>")
    before, newer, after = lab.series(3)
    lab.inject(before)
    lab.deliver_control(subscription, before)

    lab.inject(newer, x_risk_band="amber", schema_epoch="7")
    lab.inject(after)
    lab.deliver_control(subscription, after)

    lab.must(
        "HDR-25", lab.arrived(subscription, newer), "a record with unknown headers was not handled"
    )


@pytest.mark.clause("HDR-25")
def test_an_unknown_header_survives_the_dlq(lab):
    """A dead letter carries the headers of a later version that its record had."""
    poison, sentinel = lab.series(2)
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.bars.v1.>", handler=lab.failing(poison))
    lab.inject(poison, x_risk_band="amber")
    letter = lab.dead_letter(lab.about(poison))
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)

    lab.covered(letter, "there is no dead letter to look at")
    lab.equal(
        "HDR-25", "amber", letter.header("x_risk_band"), "the dead letter lost an unknown header"
    )


@pytest.mark.clause("HDR-24")
def test_all_domains_carry_the_same_header_set(lab, gallery):
    """The headers that the contract requires are present alike in every domain and producer."""
    lab.control(gallery.rows, "no record of the gallery reached the wire")
    required = set(lab.required_headers())
    missing = {
        each.sample.domain: sorted(required - set(wire.header_map()))
        for _, each, wire in gallery.rows
        if required - set(wire.header_map())
    }
    lab.equal("HDR-24", {}, missing, "required headers are missing in some domains")
