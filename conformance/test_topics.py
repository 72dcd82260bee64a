"""Topics (TOP): grammar on the wire, refusal of what breaks it, wildcard subscriptions."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "clause",
    [
        pytest.param(each, marks=pytest.mark.clause(each))
        for each in ("TOP-01", "TOP-02", "TOP-04", "TOP-05", "TOP-19", "TOP-20")
    ],
)
def test_topics_on_the_wire(lab, gallery, clause):
    """Every record that the binding published lies on a topic that keeps the clause."""
    gallery.judge(lab, clause)


@pytest.mark.clause("TOP-03")
def test_every_domain_is_published(lab):
    """A valid record of each domain is acknowledged and stored on its topic."""
    producer = lab.bus().producer()
    wanted = [lab.sample(domain) for domain in lab.publishable()]

    results = producer.publish(*wanted)

    refused = [(each.sample.domain, each.code) for each in results if each.outcome == "fail"]
    lab.equal("TOP-03", [], refused, "valid records were refused")
    lab.control(all(each.outcome == "ok" for each in results), "publishes ended without an answer")
    missing = [each.domain for each in wanted if not lab.on_wire(each)]
    lab.equal("TOP-03", [], missing, "acknowledged records are not on the wire")


@pytest.mark.parametrize(
    ("clause", "topic"),
    [
        pytest.param(clause, topic, marks=pytest.mark.clause(clause), id=name)
        for clause, name, topic in (
            ("TOP-01", "empty-token", "ampy.dev.bars.v1..AAPL"),
            ("TOP-01", "other-root", "bus.dev.bars.v1.XNAS.AAPL"),
            ("TOP-02", "unknown-env", "ampy.live.bars.v1.XNAS.AAPL"),
            ("TOP-03", "unknown-domain", "ampy.dev.candles.v1.XNAS.AAPL"),
            ("TOP-05", "no-subtopic", "ampy.dev.bars.v1"),
            ("TOP-17", "one-wildcard", "ampy.dev.bars.v1.*.AAPL"),
            ("TOP-17", "rest-wildcard", "ampy.dev.bars.v1.>"),
        )
    ],
)
def test_a_broken_topic_is_not_published(lab, clause, topic):
    """A record on a topic that breaks the grammar is refused and reaches no subject."""
    producer = lab.bus().producer()
    before, after = lab.series(2)
    lab.control(producer.publish(before)[0].outcome == "ok", "a valid record was not acknowledged")

    broken = lab.on_topic(lab.sample(), topic)
    result = producer.publish(broken)[0]

    lab.control(producer.publish(after)[0].outcome == "ok", "a valid record was not acknowledged")
    lab.control(lab.passed_by(after), "the sentinel is not on the wire")
    lab.true(
        clause,
        result.outcome != "ok",
        "the binding acknowledged a record on a broken topic",
        seen=topic,
    )
    lab.equal(
        clause, [], [each.topic for each in lab.seen(broken)], "the record went out all the same"
    )


PATTERNS = {
    "one domain": "ampy.dev.bars.v1.>",
    "one token": "ampy.dev.*.v1.XNAS.AAPL",
    "one topic": "ampy.dev.bars.v1.XNAS.AAPL",
    "prefix of subtopic": "ampy.dev.bars.v1.XNAS.*",
}


@pytest.mark.clause("TOP-18")
@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_a_pattern_gets_exactly_the_matching_topics(lab, pattern):
    """A wildcard subscription is given all records on matching topics and no other."""
    bus = lab.bus()
    subscription = bus.subscribe(pattern)
    inside = lab.sample("bars", entity=0)
    lab.covered(lab.matches(pattern, inside.topic), "the sample lies outside the pattern")
    others = [lab.sample(domain, entity=1) for domain in ("bars", "ticks", "news", "orders")]
    lab.publish(bus, inside, *others)
    sentinel = lab.sample("bars", entity=0)
    lab.publish(bus, sentinel)
    lab.deliver_control(subscription, inside, sentinel)

    expected = {each.topic for each in (inside, *others) if lab.matches(pattern, each.topic)}
    lab.must(
        "TOP-18",
        lab.arrived(subscription, *(each for each in others if each.topic in expected)),
        "a record on a matching topic was not delivered",
        expected=sorted(expected),
    )
    got = {each.topic for each in subscription.deliveries}
    lab.equal("TOP-18", sorted(expected), sorted(got), "deliveries do not agree with the pattern")
