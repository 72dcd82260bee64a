"""Delivery (QOS): at least once, to every group, over crashes and restarts."""

from __future__ import annotations

import pytest

# An acknowledgement that comes by itself comes within this time: the shortest interval in use.
LATE_SECONDS = 0.5


@pytest.mark.clause("QOS-01")
def test_an_acknowledged_record_is_stored_and_delivered(lab):
    """Each acknowledged publish is on the wire, and reaches the subscribed group."""
    bus = lab.bus()
    wanted = [lab.sample("bars", entity=each % 3) for each in range(12)]
    results = bus.producer().publish(*wanted)
    lab.control(any(each.outcome == "ok" for each in results), "no valid record was acknowledged")

    acknowledged = [each.sample for each in results if each.outcome == "ok"]
    lost = [each.topic for each in acknowledged if not lab.on_wire(each)]
    lab.equal("QOS-01", [], lost, "acknowledged records are not on the wire")

    subscription = bus.subscribe("ampy.dev.bars.v1.>")
    sentinel = lab.sample("bars", entity=0)
    lab.publish(bus, sentinel)
    lab.deliver_control(subscription, sentinel)
    lab.must(
        "QOS-01",
        lab.arrived(subscription, *acknowledged),
        "an acknowledged record was not delivered",
    )


@pytest.mark.clause("QOS-07")
def test_every_group_gets_the_whole_stream(lab):
    """Two groups are each given every record; the members of one group share it."""
    bus = lab.bus()
    first = bus.subscribe("ampy.dev.bars.v1.>", group="risk")
    second = bus.subscribe("ampy.dev.bars.v1.>", group="archive")
    wanted = [lab.sample("bars", entity=each % 3) for each in range(9)]
    lab.publish(bus, *wanted)
    # By whichever: groups that share the records are what this looks for.
    lab.control(
        lab.arrived_anywhere([first, second], *wanted), "not every record was given to a group"
    )

    for each in (first, second):
        lab.must(
            "QOS-07",
            lab.arrived(each, *wanted),
            f"the group {each.group} was not given every record",
        )


@pytest.mark.clause("QOS-02")
def test_a_worker_that_dies_before_its_verdict_loses_nothing(lab):
    """A record whose handler never came to a verdict is handed out again after a kill."""
    driver = lab.fresh_driver()
    state = lab.session.state_dir()
    bus = lab.bus(driver=driver, state_dir=state)
    control, sample = lab.series(2)
    subscription = bus.subscribe("ampy.dev.bars.v1.>", handler=lab.hanging_on(sample))
    lab.publish(bus, control)
    lab.deliver_control(subscription, control)
    lab.publish(bus, sample)
    lab.covered(lab.delivered(subscription, sample), "the record was not delivered before the kill")
    driver.kill()

    again = lab.bus(driver=lab.respawn(driver), state_dir=state)
    second = again.subscribe("ampy.dev.bars.v1.>")
    sentinel = lab.sample()
    lab.publish(again, sentinel)
    lab.deliver_control(second, sentinel)
    lab.must(
        "QOS-02",
        lab.redelivered(second, sample),
        "a record that nobody had handled was not redelivered",
    )


@pytest.mark.clause("QOS-02")
def test_what_a_leaving_member_had_not_settled_is_given_to_another(lab):
    """A record without a verdict goes back to the group when its member leaves."""
    bus = lab.bus()
    control, sample = lab.series(2)
    first = bus.subscribe("ampy.dev.bars.v1.>", handler=lab.hanging_on(sample))
    lab.publish(bus, control)
    lab.deliver_control(first, control)
    lab.publish(bus, sample)
    lab.covered(lab.delivered(first, sample), "the record was not delivered before it left")
    first.leave()

    second = bus.subscribe("ampy.dev.bars.v1.>", member="member-2")
    sentinel = lab.sample()
    lab.publish(bus, sentinel)
    lab.deliver_control(second, sentinel)
    lab.must(
        "QOS-02",
        lab.redelivered(second, sample),
        "a record without a verdict was lost when its member left",
    )


@pytest.mark.clause("QOS-02")
def test_a_failed_record_is_not_acknowledged_without_a_dead_letter(lab):
    """While a record has neither taken effect nor become a dead letter, the broker keeps it."""
    bus = lab.bus()
    control, sample = lab.series(2)
    subscription = bus.subscribe("ampy.dev.bars.v1.>", handler=lab.failing(sample))
    lab.publish(bus, control)
    lab.deliver_control(subscription, control)
    lab.publish(bus, sample)

    letter = lab.dead_letter(lab.about(sample))
    lab.covered(subscription.of(sample.digest), "the record was not delivered")
    lab.must(
        "QOS-02",
        letter or lab.unacknowledged(),
        "a record whose handler failed was acknowledged without a dead letter",
    )


@pytest.mark.clause("QOS-02")
def test_the_broker_hears_of_success_only_after_the_verdict(lab):
    """While the handler has given no verdict, the broker counts the record as unacknowledged."""
    bus = lab.bus()
    control, sample = lab.series(2)
    subscription = bus.subscribe("ampy.dev.bars.v1.>", handler=lab.hanging_on(sample))
    lab.publish(bus, control)
    lab.deliver_control(subscription, control)
    lab.publish(bus, sample)
    lab.covered(lab.delivered(subscription, sample), "the record was not delivered")

    # Records of other keys are handled meanwhile: none of them may carry the held one along.
    others = [lab.sample("bars", entity=each) for each in range(2, 18)]
    lab.publish(bus, *others)
    lab.deliver_control(subscription, *others)

    lost = lab.wire.wait_until(lambda: lab.unacknowledged() == 0, LATE_SECONDS)
    lab.true(
        "QOS-02",
        not lost,
        "acknowledged before the handler had a verdict",
        expected=1,
        seen=0 if lost else 1,
    )
    for each in subscription.hanging():
        subscription.settle(each, "ack")
    lab.control(lab.arrived(subscription, sample), "the record could not be settled")


@pytest.mark.clause("QOS-03")
def test_acknowledged_records_survive_a_broker_restart(lab):
    """What was acknowledged before the broker was killed is stored and delivered afterwards."""
    lab.needs_durable_broker()
    bus = lab.bus(driver=lab.fresh_driver())
    wanted = lab.series(10)
    lab.publish(bus, *wanted)

    lab.restart_broker()

    kept = [bool(lab.on_wire(each)) for each in wanted]
    lab.equal("QOS-03", [True] * 10, kept, "acknowledged records were gone after the restart")
    again = lab.bus(driver=lab.fresh_driver())
    subscription = again.subscribe("ampy.dev.bars.v1.>")
    sentinel = lab.sample()
    lab.publish(again, sentinel)
    lab.deliver_control(subscription, sentinel)
    lab.must(
        "QOS-03", lab.arrived(subscription, *wanted), "acknowledged records were not delivered"
    )


@pytest.mark.clause("QOS-04")
def test_a_restarted_consumer_resumes_where_it_was(lab):
    """After a polite restart the group is given what is new, and not again what it handled."""
    state = lab.session.state_dir()
    bus = lab.bus(state_dir=state)
    old, new = lab.series(5), lab.series(5)
    subscription = bus.subscribe("ampy.dev.bars.v1.>")
    lab.publish(bus, *old)
    lab.deliver_control(subscription, *old)
    confirmed = [each for each in old if any(d.ack == "ok" for d in subscription.of(each.digest))]
    if not confirmed and lab.acknowledged(len(old)):  # the binding cannot tell, the broker can
        confirmed = old
    lab.covered(confirmed, "no acknowledgement was confirmed before the restart")
    bus.close()

    again = lab.bus(state_dir=state)
    lab.publish(again, *new)
    second = again.subscribe("ampy.dev.bars.v1.>")
    sentinel = lab.sample("bars", entity=7)
    lab.publish(again, sentinel)
    lab.deliver_control(second, sentinel)
    lab.must(
        "QOS-04", lab.arrived(second, *new), "records published while it was away were skipped"
    )
    repeated = [number for number, each in enumerate(confirmed) if second.of(each.digest)]
    lab.equal("QOS-04", [], repeated, "records handled before the restart were handled again")


@pytest.mark.clause("QOS-06")
def test_a_failed_publish_is_reported(lab):
    """A publish that the broker refuses is not reported as done."""
    producer = lab.bus().producer()
    before, lost, after = lab.series(3)
    lab.control(producer.publish(before)[0].outcome == "ok", "a valid record was not acknowledged")

    lab.refuse_records()
    result = producer.publish(lost)[0]
    stored = bool(lab.on_wire(lost))
    lab.accept_records()

    lab.control(producer.publish(after)[0].outcome == "ok", "a valid record was not acknowledged")
    lab.covered(not stored, "the broker stored the record all the same")
    lab.true(
        "QOS-06",
        result.outcome != "ok",
        "a publish that the broker refused was reported as done",
        expected="fail or info",
        seen=result.outcome,
    )


# Domains of one QoS class each; which class a domain has is the contract's to say.
TIERS = ("orders", "bars", "universe")


@pytest.mark.clause("QOS-05")
def test_retry_ceilings_follow_the_tier_of_the_domain(lab):
    """With no ceiling given, a failing record is tried as often as its domain's QoS class says."""
    bus = lab.bus(max_attempts=None, publish_attempts=None)
    good = lab.sample("bars", entity=9)
    failing = {domain: lab.sample(domain) for domain in TIERS}
    digests = {each.digest for each in failing.values()}
    subscription = bus.subscribe(
        "ampy.dev.>", handler=lambda each: "fail" if each.digest in digests else "ack"
    )
    lab.inject(good)
    lab.deliver_control(subscription, good)
    for each in failing.values():
        lab.inject(each)
    letters = [lab.dead_letter(lab.about(each), patience=20.0) for each in failing.values()]
    lab.covered(all(letters), "not every failing record became a dead letter: no ceiling was seen")

    tried = {domain: len(subscription.of(each.digest)) for domain, each in failing.items()}
    classes = {lab.qos(domain) for domain in TIERS}
    lab.control(len(classes) == len(TIERS), "the contract gives these domains fewer classes")
    lab.true(
        "QOS-05",
        len(set(tried.values())) > 1,
        "one retry ceiling for all QoS classes",
        expected="another ceiling by class",
        seen=tried,
    )
