"""Dead letters (DLQ): what cannot be handled is kept, whole, and stops nobody."""

from __future__ import annotations

import hashlib
import re

import pytest

TOPICS = "ampy.dev.bars.v1.>"
FAULTS = ("handler", "undecodable", "violation")


def _grave(lab, graveyard, fault):
    """Return the grave of this kind of poison; without a letter nothing can be said of it."""
    grave = next(each for each in graveyard if each.fault == fault)
    lab.covered(grave.letter, f"there is no dead letter of the {fault} poison to look at")
    return grave


@pytest.mark.clause("DLQ-01")
def test_a_persistent_failure_ends_in_the_dlq(lab, graveyard):
    """A record whose handler always fails becomes a dead letter."""
    grave = next(each for each in graveyard if each.fault == "handler")
    lab.must("DLQ-01", grave.letter, "no dead letter of a record whose handler always fails")


UNDECODABLE = {
    "truncated protobuf": {"payload": b"\x0a\xff"},
    "truncated gzip": {
        "payload": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01",
        "content_encoding": "gzip",
    },
    "not gzip at all": {"payload": b"plain bytes", "content_encoding": "gzip"},
    "unknown encoding": {"content_encoding": "br"},
}


@pytest.mark.clause("DLQ-02")
@pytest.mark.parametrize("fault", UNDECODABLE.values(), ids=UNDECODABLE)
def test_an_undecodable_record_ends_in_the_dlq(lab, fault):
    """What cannot be decoded becomes a dead letter and never reaches the handler."""
    _poison(lab, "DLQ-02", **fault)


VIOLATIONS = {
    **{
        f"without {name}": {"drop": (name,)}
        for name in (
            "message_id", "schema_fqdn", "schema_version", "content_type", "produced_at",
            "producer", "source", "run_id", "trace_id", "partition_key",
        )
    },
    "malformed id": {"message_id": "not-a-uuid"},
    "local time": {"produced_at": "2025-09-05T19:31:01+02:00"},
    "zero trace": {"trace_id": "0" * 32},
    "foreign schema": {"schema_fqdn": "ampy.orders.v1.OrderRequest"},
    "unknown schema": {"schema_fqdn": "ampy.bars.v1.Candle"},
    "json": {"content_type": "application/json"},
}  # fmt: skip


@pytest.mark.clause("DLQ-03")
@pytest.mark.parametrize("fault", VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_contract_violation_ends_in_the_dlq(lab, fault):
    """A record that breaks a MUST of the envelope becomes a dead letter, unhandled."""
    _poison(lab, "DLQ-03", **fault)


def _poison(lab, clause, **fault):
    """Inject one faulty record between two valid ones; it must become a dead letter."""
    bus = lab.bus(env="paper")
    subscription = bus.subscribe("ampy.paper.bars.v1.>")
    before, bad, after = (lab.sample("bars", env="paper", entity=1) for _ in range(3))
    lab.inject(before)
    lab.deliver_control(subscription, before)

    injected = lab.inject(bad, **fault)
    lab.inject(after)
    lab.deliver_control(subscription, after)

    message_id = injected.headers.get("message_id")
    letter = lab.dead_letter(
        lambda each: (
            each.payload == injected.payload
            or (message_id and each.header("message_id") == message_id)
        )
    )
    digests = {hashlib.sha256(injected.payload).hexdigest(), bad.digest}
    got = sum(len(subscription.of(each)) for each in digests)
    lab.equal(clause, 0, got, "the broken record was given to the handler")
    lab.must(clause, letter, "the broken record is not in the DLQ")


@pytest.mark.clause("DLQ-04")
def test_nothing_is_dropped_while_the_dlq_refuses(lab):
    """A record that has to become a dead letter is kept until the DLQ takes it."""
    bus = lab.bus()
    sample = lab.sample()
    control = lab.sample("bars", entity=7)
    subscription = bus.subscribe(TOPICS)
    lab.inject(control)
    lab.deliver_control(subscription, control)
    lab.wire.fill_dlq()
    lab.inject(sample, payload=b"\x0a\xff")
    lab.covered(lab.tried_dead_letter(), "the binding never tried to write a dead letter")
    other = lab.sample("bars", entity=8)
    lab.inject(other)
    lab.control(lab.arrived(subscription, other), "another key was held up while the DLQ refused")
    open_now = lab.unacknowledged()

    lab.wire.heal_dlq()
    letter = lab.stored_dead_letter(payload=b"\x0a\xff", patience=12.0)
    lab.covered(letter or not lab.unacknowledged(), "the broker still holds the record")
    lab.must(
        "DLQ-04",
        letter,
        "the record is gone: not in the DLQ after it took records again",
        seen=open_now,
    )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.clause("DLQ-05")
def test_a_dead_letter_has_all_original_headers(lab, graveyard, fault):
    """Every header of the original is on the dead letter, byte for byte."""
    grave = _grave(lab, graveyard, fault)
    headers = grave.letter.header_map()
    changed = sorted(
        name for name, value in grave.injected.headers.items() if headers.get(name) != value
    )
    lab.equal("DLQ-05", [], changed, "original headers are missing or changed")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.clause("DLQ-06", "HDR-20")
def test_a_dead_letter_says_why(lab, graveyard, fault):
    """dlq_reason is there, and reads `class: detail`."""
    grave = _grave(lab, graveyard, fault)
    reason = grave.letter.header("dlq_reason")
    lab.true("HDR-20", reason, "a dead letter without dlq_reason")
    shape = bool(re.fullmatch(r"[a-z][a-z0-9_]*: \S.*", reason, re.DOTALL))
    lab.true(
        "DLQ-06",
        shape,
        "dlq_reason is not `class: detail`",
        expected="class: detail",
        seen=reason[:80],
    )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.clause("DLQ-07")
def test_a_dead_letter_has_the_original_payload(lab, graveyard, fault):
    """The payload of the dead letter is that of the original, byte for byte."""
    grave = _grave(lab, graveyard, fault)
    lab.true("DLQ-07", grave.letter.payload == grave.injected.payload, "the payload was changed")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.clause("DLQ-08")
def test_a_dead_letter_stays_in_its_env(lab, graveyard, fault):
    """The dead letter is in the env of the original."""
    grave = _grave(lab, graveyard, fault)
    env = grave.letter.topic.split(".")[1]
    lab.equal("DLQ-08", "paper", env, "the dead letter crossed into another env")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.clause("TOP-16")
def test_a_dead_letter_lies_on_its_topic(lab, graveyard, fault):
    """The dead letter is on ampy.{env}.dlq.v1.{original domain}; its env is judged apart (A-05)."""
    grave = _grave(lab, graveyard, fault)
    root, _, *rest = grave.letter.topic.split(".")
    expected = ["ampy", "dlq", "v1", "bars"]
    lab.equal("TOP-16", expected, [root, *rest[:3]], "the dead letter is on another topic")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.clause("KEY-dlq")
def test_a_dead_letter_keeps_its_key(lab, graveyard, fault):
    """partition_key of the dead letter is that of the original."""
    grave = _grave(lab, graveyard, fault)
    expected = grave.injected.headers["partition_key"]
    lab.equal("KEY-dlq", expected, grave.letter.header("partition_key"), "the key was changed")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.clause("HDR-04")
def test_a_dead_letter_keeps_its_id(lab, graveyard, fault):
    """message_id of the dead letter is that of the original."""
    grave = _grave(lab, graveyard, fault)
    expected = grave.injected.headers["message_id"]
    lab.equal("HDR-04", expected, grave.letter.header("message_id"), "the id was changed")


@pytest.mark.clause("DLQ-12")
def test_a_dead_letter_has_a_payload_hash(lab, graveyard):
    """The dead letter carries the SHA-256 of its payload for the audit."""
    grave = _grave(lab, graveyard, "handler")
    expected = f"sha256:{hashlib.sha256(grave.injected.payload).hexdigest()}"
    lab.equal(
        "DLQ-12",
        expected,
        grave.letter.header("payload_hash"),
        "no payload hash on the dead letter",
    )


@pytest.mark.clause("DLQ-10")
@pytest.mark.parametrize("payload", [b"\x0a\xff", None], ids=["undecodable", "failing"])
def test_one_poison_record_does_not_stop_the_consumer(lab, payload):
    """Records of the same key and of others go on being handled after a poison record."""
    bus = lab.bus()
    bad = lab.sample("bars", entity=0)
    subscription = bus.subscribe(TOPICS, handler=lab.failing(bad))
    control = lab.sample("bars", entity=0)
    lab.inject(control)
    lab.deliver_control(subscription, control)

    poison = lab.inject(bad, payload=payload)
    same, other = lab.sample("bars", entity=0), lab.sample("bars", entity=1)
    lab.inject(same)
    lab.inject(other)
    lab.must("DLQ-10", lab.arrived(subscription, other), "a poison record stopped the other keys")
    lab.dead_letter(lambda each: each.payload == poison.payload)  # until then its own key may wait
    lab.must("DLQ-10", lab.arrived(subscription, same), "a poison record stopped its key")


@pytest.mark.clause("DLQ-11")
def test_a_failure_on_a_dlq_topic_makes_no_further_dead_letter(lab):
    """A consumer of dead letters that fails does not fill the DLQ with its own failures."""
    bus = lab.bus()
    poison = lab.sample("bars", entity=0)
    live = bus.subscribe(TOPICS, group="live", handler=lab.failing(poison))
    control = lab.sample("bars", entity=1)
    lab.inject(control)
    lab.deliver_control(live, control)
    lab.inject(poison)
    letter = lab.dead_letter(lab.about(poison))
    lab.control(letter, "there is no dead letter to fail on")

    inspector = bus.subscribe("ampy.dev.dlq.v1.>", group="inspector", handler=lab.failing(poison))
    given = lab.delivered(inspector, poison)
    letters = [each.topic for each in lab.stored(dead=True) if lab.about(poison)(each)]
    lab.true("DLQ-11", len(letters) == 1, "a dead letter made another one",
             expected=1, seen=len(letters))  # fmt: skip
    lab.covered(given, "dead letters were not delivered to their consumer")
    lab.covered(
        lab.attempted(inspector, poison, lab.tuning["max_attempts"]),
        "the failing dead letter was not retried to its end",
    )
    second = lab.sample("bars", entity=0)
    lab.inject(second, payload=b"\x0a\xff")
    lab.control(
        lab.stored_dead_letter(payload=b"\x0a\xff"), "the sentinel dead letter did not appear"
    )
    mine = [each.topic for each in lab.stored(dead=True) if each.payload != b"\x0a\xff"]
    lab.equal("DLQ-11", [letter.topic], mine, "the failure of a dead letter made another one")


@pytest.mark.clause("DLQ-13")
@pytest.mark.parametrize("before", [None, "2"], ids=["first", "third"])
def test_a_redriven_record_goes_back_and_is_handled(lab, before):
    """Redrive publishes the original on its topic, without dlq_reason, one retry more."""
    lab.needs("redrive")
    bus = lab.bus()
    record, other = lab.sample("bars", entity=0), lab.sample("bars", entity=1)
    mended = []
    subscription = bus.subscribe(
        TOPICS,
        handler=lambda each: "ack" if mended or each.digest != record.digest else "fail",
    )
    retries = {} if before is None else {"retry_count": before}
    original = lab.inject(record, **retries)
    lab.inject(other)
    lab.deliver_control(subscription, other)
    lab.control(lab.dead_letter(lab.about(record)), "there is no dead letter to redrive")

    mended.append(True)
    bus.redrive("ampy.dev.dlq.v1.>", limit=1)
    again = lab.stored_again(record)
    lab.must("DLQ-13", again, "no redriven record is in the log")
    lab.equal("DLQ-13", record.topic, again.topic, "the redriven record is on another topic")
    lab.equal("DLQ-13", None, again.header("dlq_reason"), "the redriven record kept dlq_reason")
    count = str(int(before or 0) + 1)
    lab.equal("DLQ-13", count, again.header("retry_count"), "retry_count was not raised by one")
    lab.equal("DLQ-13", original.payload, again.payload, "the payload was changed")
    lab.must("DLQ-13", lab.arrived(subscription, record), "the redriven record was not handled")
