"""Serialization and compression (SER)."""

from __future__ import annotations

import gzip

import pytest

from ampy_conformance.contract import encoding

KIB_128 = 131_072


@pytest.mark.parametrize(
    "clause",
    [pytest.param(each, marks=pytest.mark.clause(each)) for each in ("SER-01", "SER-02", "SER-03")],
)
def test_payloads_on_the_wire(lab, gallery, clause):
    """Every payload that the binding published keeps the clause."""
    gallery.judge(lab, clause)


@pytest.mark.clause("SER-04", "SER-05")
@pytest.mark.parametrize("size", [KIB_128 - 1, KIB_128, KIB_128 + 1, 4 * KIB_128])
def test_large_payloads_are_compressed(lab, size):
    """Above 128 KiB the payload is gzip and says so; up to there either is right."""
    bus = lab.bus()
    sample = lab.sample("news", size=size)
    lab.covered(
        len(sample.payload) == size, f"the sample has {len(sample.payload)} bytes, not {size}"
    )
    # By its id where the body cannot be read: then header and bytes disagree.
    record = lab.wire_of(lab.publish(bus, sample)[0])
    lab.control(record, "an acknowledged record is not on the wire")

    marked = record.header("content_encoding") == "gzip"
    zipped = record.payload[:2] == b"\x1f\x8b"
    lab.equal("SER-05", zipped, marked, "content_encoding and the bytes disagree")
    if size > KIB_128:
        lab.true("SER-04", zipped, f"a payload of {size} bytes went out uncompressed")
    try:
        body = encoding.decode_body(record.header_map(), record.payload)
    except encoding.EncodingFault as fault:
        body = None
        lab.true("SER-05", holds=False, says=f"the payload cannot be had: {fault}")
    lab.true("SER-04", body == sample.payload, "the payload is not what was published")


@pytest.mark.clause("SER-07")
def test_no_record_reaches_one_mebibyte(lab):
    """A payload that stays above the limit after compression does not go out as it is."""
    producer = lab.bus().producer()
    before = lab.sample("news")
    huge = lab.sample("news", size=2_000_000, compressible=False)
    lab.control(producer.publish(before)[0].outcome == "ok", "a valid record was not acknowledged")
    lab.control(lab.on_wire(before), "an acknowledged record is not on the wire")

    result = producer.publish(huge)[0]

    after = lab.sample("news")
    lab.control(producer.publish(after)[0].outcome == "ok", "a valid record was not acknowledged")
    big = [each.topic for each in lab.stored() if _weight(each) >= 1_048_576]
    lab.equal("SER-07", [], big, "a record of 1 MiB or more is on the wire")
    pointer = [each for each in lab.stored() if each.header("blob_ref")]
    told = result.outcome != "ok" or bool(pointer) or bool(lab.on_wire(huge))
    lab.true("SER-07", told, "an oversized record was acknowledged and is nowhere")


@pytest.mark.clause("SLO-03")
@pytest.mark.parametrize("kib", [32, 256])
def test_records_of_the_usual_sizes_are_carried(lab, kib):
    """Payloads at both ends of the usual range, which no compression makes small, are stored and handled."""
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.news.v1.>")
    producer = bus.producer()
    before = lab.sample("news")
    lab.control(producer.publish(before)[0].outcome == "ok", "a valid record was not acknowledged")
    lab.deliver_control(subscription, before)
    usual = lab.sample("news", size=kib * 1024, compressible=False)
    lab.covered(len(usual.payload) == kib * 1024, "the sample is of another size")

    result = producer.publish(usual)[0]

    after = lab.sample("news")
    lab.control(producer.publish(after)[0].outcome == "ok", "a valid record was not acknowledged")
    lab.deliver_control(subscription, after)
    says = f"a record of {kib} KiB"
    lab.must("SLO-03", result.outcome == "ok", f"{says} was not acknowledged", seen=result.code)
    pointed = any(each.header("blob_ref") for each in lab.stored())
    found = lab.on_wire(usual)
    lab.must("SLO-03", found or pointed, f"{says} was acknowledged and is nowhere")
    heavy = [each.topic for each in found if _weight(each) >= 1_048_576]
    lab.equal("SLO-03", [], heavy, f"{says} became one of 1 MiB or more")
    lab.must("SLO-03", lab.arrived(subscription, usual), f"{says} was not handled")


def _weight(record):
    return len(record.payload) + sum(len(name) + len(value) + 4 for name, value in record.headers)


@pytest.mark.clause("SER-09")
def test_unknown_fields_do_not_fail_a_consumer(lab):
    """A payload of a later minor version, with a field nobody here knows, is handled intact."""
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.fx.v1.>")
    before = lab.sample("fx")
    lab.inject(before)
    lab.deliver_control(subscription, before)

    newer = lab.with_unknown_field(lab.sample("fx"))
    lab.inject(newer)
    after = lab.sample("fx")
    lab.inject(after)
    lab.deliver_control(subscription, after)

    lab.must(
        "SER-09",
        lab.arrived(subscription, newer),
        "a payload with an unknown field was not handled",
    )


@pytest.mark.clause("SER-12")
def test_the_consumer_side_undoes_gzip(lab):
    """A handler gets the protobuf bytes, also where they travelled compressed."""
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.news.v1.>")
    plain = lab.sample("news")
    lab.inject(plain)
    lab.deliver_control(subscription, plain)

    zipped = lab.sample("news")
    lab.inject(zipped, payload=gzip.compress(zipped.payload), content_encoding="gzip")
    after = lab.sample("news")
    lab.inject(after)
    lab.deliver_control(subscription, after)

    lab.must(
        "SER-12",
        lab.arrived(subscription, zipped),
        "the handler did not get the decompressed payload",
    )
