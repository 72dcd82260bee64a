"""The NATS mapping (BND-01 to BND-03)."""

from __future__ import annotations

import pytest


@pytest.mark.clause("BND-01")
def test_the_subject_is_the_topic(lab, gallery):
    """Each record lies on the NATS subject that is its topic, token for token."""
    lab.control(gallery.rows, "no record of the gallery reached the wire")
    expected = [each.sample.topic for _, each, _ in gallery.rows]
    lab.equal(
        "BND-01", expected, [wire.topic for _, _, wire in gallery.rows], "subject and topic differ"
    )


@pytest.mark.clause("BND-02")
def test_headers_are_nats_headers(lab, gallery):
    """The envelope's headers travel as NATS headers, each once."""
    lab.control(gallery.rows, "no record of the gallery reached the wire")
    for _, each, wire in gallery.rows:
        names = [name for name, _ in wire.headers]
        lab.true(
            "BND-02",
            "schema_fqdn" in names,
            "headers are not NATS headers",
            seen=sorted(names)[:20],
        )
        twice = sorted({name for name in names if names.count(name) > 1})
        lab.equal("BND-02", [], twice, f"headers of {each.sample.domain} stand twice")


@pytest.mark.clause("BND-03")
def test_the_consumer_is_durable_and_acknowledges(lab):
    """A group is a durable JetStream consumer whose acknowledgement floor follows the handler."""
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.bars.v1.>")
    wanted = lab.series(5)
    lab.publish(bus, *wanted)
    lab.deliver_control(subscription, *wanted)

    durable = [each for each in lab.wire.consumers() if each.durable]
    lab.true("BND-03", durable, "the group has no durable JetStream consumer")
    lab.must("BND-03", lab.acknowledged(5), "the acknowledgement floor does not follow the handler")
