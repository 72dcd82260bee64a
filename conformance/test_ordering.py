"""Ordering (ORD): one partition key, one order, also when records wait for a retry."""

from __future__ import annotations

import pytest


@pytest.mark.clause("ORD-01")
def test_one_key_keeps_publish_order(lab):
    """Records of one partition key are first delivered in the order of their publishes."""
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.bars.v1.>")
    control = lab.sample("bars", entity=9)
    lab.publish(bus, control)
    lab.deliver_control(subscription, control)

    wanted = lab.series(40)
    lab.publish(bus, *wanted)
    sent = [each.digest for each in wanted]
    lab.must(
        "ORD-01", lab.arrived(subscription, *wanted), "not every record of the key was delivered"
    )

    # Delivery is judged only against what the broker itself stored.
    stored = [each for each in lab.stored_digests() if each in sent]
    lab.equal("ORD-01", _shape(sent, sent), _shape(sent, stored), "stored out of publish order")
    first = subscription.first_order(sent)
    lab.equal(
        "ORD-01", _shape(sent, sent), _shape(sent, first), "first deliveries out of publish order"
    )


def _shape(sent, seen):
    """Return the sequence numbers of what was seen: readable, and free of digests."""
    place = {digest: number for number, digest in enumerate(sent)}
    return [place[each] for each in seen]


@pytest.mark.clause("ORD-01")
def test_order_holds_within_a_backlog(lab):
    """A consumer that comes late is given the backlog of a key in order."""
    bus = lab.bus()
    wanted = lab.series(40)
    lab.publish(bus, *wanted)
    sent = [each.digest for each in wanted]

    subscription = bus.subscribe("ampy.dev.bars.v1.>", credit=8)
    lab.deliver_control(subscription, wanted[0])
    lab.must(
        "ORD-01",
        lab.arrived(subscription, *wanted),
        "not every record of the backlog was delivered",
    )
    first = subscription.first_order(sent)
    lab.equal(
        "ORD-01", _shape(sent, sent), _shape(sent, first), "first deliveries out of publish order"
    )


@pytest.mark.clause("ORD-02")
def test_order_holds_under_concurrency(lab):
    """Four keys, three concurrent producers, two members: per producer and key the order holds."""
    bus = lab.bus()
    one = bus.subscribe("ampy.dev.bars.v1.>", member="member-1")
    two = bus.subscribe("ampy.dev.bars.v1.>", member="member-2")
    control = lab.sample("bars", entity=9)
    lab.publish(bus, control)
    lab.control(lab.arrived_anywhere([one, two], control), "a valid record was not handled")

    streams = {
        (producer, key): [lab.sample("bars", entity=key) for _ in range(8)]
        for producer in range(3)
        for key in range(4)
    }
    results = lab.in_parallel(
        [
            (bus.producer(name=f"conformance@{number}"), lab.interleaved(streams, number))
            for number in range(3)
        ]
    )
    lab.control(all(each.outcome == "ok" for each in results), "publishes were not acknowledged")
    wanted = [each for series in streams.values() for each in series]
    lab.must("ORD-02", lab.arrived_anywhere([one, two], *wanted), "records were not delivered")

    log = lab.merged_order([one, two])
    for (producer, key), series in streams.items():
        sent = [each.digest for each in series]
        seen = [each for each in log if each in set(sent)]
        says = f"producer {producer}, key {key}: first deliveries out of publish order"
        lab.equal("ORD-02", _shape(sent, sent), _shape(sent, seen), says)


@pytest.mark.clause("ORD-04")
def test_an_order_keeps_its_causality_while_one_record_fails(lab):
    """submit, amend, cancel of one order take effect in that order though submit fails first."""
    bus = lab.bus()
    steps = [
        lab.sample("orders", entity=0, dedupe_key=f"co-77|{step}")
        for step in ("submit", "amend", "cancel")
    ]
    other = lab.sample("orders", entity=1)
    subscription = bus.subscribe("ampy.dev.orders.v1.>", handler=lab.failing(steps[0], times=2))
    control = lab.sample("orders", entity=2)
    lab.publish(bus, control)
    lab.deliver_control(subscription, control)

    lab.publish(bus, *steps, other)
    lab.must(
        "ORD-04", lab.arrived(subscription, *steps), "the order's records did not all take effect"
    )
    sent = [each.digest for each in steps]
    lab.covered(len(subscription.of(sent[0])) >= 3, "the first record was not retried twice")
    effects = subscription.effect_order(sent)
    lab.equal("ORD-04", [0, 1, 2], _shape(sent, effects), "effects out of causal order")
    lab.must("ORD-04", lab.arrived(subscription, other), "another order was held up for good")
