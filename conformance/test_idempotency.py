"""Idempotency (IDM): one effect per record, and no effect taken from a distinct record."""

from __future__ import annotations

import pytest

TOPICS = "ampy.dev.bars.v1.>"


def _handled_once(lab, bus, pattern, sample, *, durably=False, **headers):
    """Inject `sample`, let it take effect, and return the subscription and its envelope.

    A record is over with when the binding says that it is recorded, or when the broker was told
    that it is handled; whether it is so `durably`, only the binding can say.
    """
    subscription = bus.subscribe(pattern)
    envelope = lab.inject(sample, **headers)
    lab.deliver_control(subscription, sample)
    recorded = any(each.recorded for each in subscription.of(sample.digest))
    if durably:
        lab.covered(recorded, "the binding never said that the seen-state is durable")
    else:
        lab.covered(recorded or lab.acknowledged(1), "the binding is not done with the record")
    return subscription, envelope


@pytest.mark.clause("IDM-01")
def test_a_duplicate_id_has_no_second_effect(lab):
    """The same record sent again under the same message_id is not handled again."""
    bus = lab.bus()
    sample = lab.sample()
    subscription, envelope = _handled_once(lab, bus, TOPICS, sample)

    lab.inject_raw(envelope.topic, envelope.headers, envelope.payload)
    sentinel = lab.sample()
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)

    seen = len(subscription.of(sample.digest))
    lab.equal("IDM-01", 1, seen, "a duplicate message_id was handled again")


@pytest.mark.clause("IDM-01")
def test_the_seen_state_outlives_the_process(lab):
    """A duplicate that comes after the binding was killed and restarted is not handled again."""
    lab.needs("durable_state")
    driver = lab.fresh_driver()
    state = lab.session.state_dir()
    sample = lab.sample()
    bus = lab.bus(driver=driver, state_dir=state)
    _, envelope = _handled_once(lab, bus, TOPICS, sample, durably=True)
    driver.kill()

    again = lab.bus(driver=lab.respawn(driver), state_dir=state)
    second = again.subscribe(TOPICS)
    lab.inject_raw(envelope.topic, envelope.headers, envelope.payload)
    sentinel = lab.sample()
    lab.inject(sentinel)
    lab.deliver_control(second, sentinel)

    lab.equal(
        "IDM-01", 0, len(second.of(sample.digest)), "a duplicate was handled again after a restart"
    )


@pytest.mark.clause("IDM-02")
def test_a_duplicate_dedupe_key_has_no_second_effect(lab):
    """A second record with a new message_id and the same dedupe_key is not handled."""
    bus = lab.bus()
    first = lab.sample("orders", entity=0, dedupe_key="co-dup-1")
    second = lab.sample("orders", entity=0, dedupe_key="co-dup-1")
    subscription, _ = _handled_once(lab, bus, "ampy.dev.orders.v1.>", first)

    lab.inject(second)
    sentinel = lab.sample("orders", entity=0)
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)

    lab.equal(
        "IDM-02", 0, len(subscription.of(second.digest)), "a duplicate dedupe_key was handled"
    )


@pytest.mark.clause("IDM-03")
def test_ids_are_compared_without_regard_to_case(lab):
    """The same id in upper case is the same id."""
    bus = lab.bus()
    sample = lab.sample()
    subscription, envelope = _handled_once(lab, bus, TOPICS, sample)

    shouted = {**envelope.headers, "message_id": envelope.headers["message_id"].upper()}
    lab.covered(shouted["message_id"] != envelope.headers["message_id"], "the id has no letters")
    lab.inject_raw(envelope.topic, shouted, envelope.payload)
    sentinel = lab.sample()
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)

    seen = len(subscription.of(sample.digest))
    lab.equal("IDM-03", 1, seen, "an id in upper case was taken for another record")


@pytest.mark.clause("IDM-04")
def test_a_retry_is_not_taken_for_a_duplicate(lab):
    """A record whose first handling failed is handled again, and then takes effect."""
    bus = lab.bus()
    control, sample = lab.series(2)
    subscription = bus.subscribe(TOPICS, handler=lab.failing(sample, times=1))
    lab.inject(control)
    lab.deliver_control(subscription, control)

    lab.inject(sample)
    sentinel = lab.sample()
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)
    arrived = lab.arrived(subscription, sample)
    given_up = any(lab.about(sample)(each) for each in lab.stored(dead=True))
    lab.covered(not given_up, "the record was given up at its first failure: there was no retry")
    lab.must("IDM-04", arrived, "a record that failed once never took effect")


@pytest.mark.clause("IDM-04")
def test_a_crash_before_the_effect_does_not_mark_the_record_as_seen(lab):
    """A binding that is killed while the handler works handles the record after its restart."""
    lab.needs("durable_state")
    driver = lab.fresh_driver()
    state = lab.session.state_dir()
    bus = lab.bus(driver=driver, state_dir=state)
    control, sample = lab.series(2)
    subscription = bus.subscribe(TOPICS, handler=lab.hanging_on(sample))
    lab.inject(control)
    lab.deliver_control(subscription, control)
    lab.inject(sample)
    lab.covered(lab.delivered(subscription, sample), "the record was not delivered before the kill")
    driver.kill()

    again = lab.bus(driver=lab.respawn(driver), state_dir=state)
    second = again.subscribe(TOPICS)
    sentinel = lab.sample()
    lab.inject(sentinel)
    lab.deliver_control(second, sentinel)
    lab.must(
        "IDM-04",
        lab.redelivered(second, sample),
        "a record without effect was taken for a duplicate",
    )


DISTINCT = {
    "amend after submit": ("orders", {"dedupe_key": "co-5"}, {"dedupe_key": "co-5|amend"}),
    "raw and nlp": ("news", {"subtopic": "raw"}, {"subtopic": "nlp"}),
    "partial fills": ("fills", {}, {}),
    "two bars of one key": ("bars", {}, {}),
}


@pytest.mark.clause("IDM-05")
@pytest.mark.parametrize(("domain", "one", "two"), DISTINCT.values(), ids=DISTINCT)
def test_a_distinct_record_is_never_suppressed(lab, domain, one, two):
    """Records of one entity that are not the same instruction are both handled."""
    bus = lab.bus()
    subscription = bus.subscribe(f"ampy.dev.{domain}.v1.>")
    first, second = lab.sample(domain, entity=0, **one), lab.sample(domain, entity=0, **two)
    lab.inject(first)
    lab.deliver_control(subscription, first)

    lab.inject(second)
    # News are deduplicated by id, so a sentinel of the same entity would be a duplicate.
    sentinel = lab.sample(domain)
    lab.inject(sentinel)
    lab.deliver_control(subscription, sentinel)
    lab.must(
        "IDM-05",
        lab.arrived(subscription, second),
        "a distinct record was suppressed as a duplicate",
    )
