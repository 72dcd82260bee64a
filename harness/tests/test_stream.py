"""What only several records show."""

from __future__ import annotations

import dataclasses

import pytest

from ampy_conformance import contract as contracts
from ampy_conformance.contract.samples import Samples
from ampy_conformance.contract.stream import StreamLinter
from ampy_conformance.validation import validate

CONTRACT = contracts.load()


@pytest.fixture
def samples():
    """Make samples of a fixed seed."""
    return Samples(CONTRACT, seed=4)


def clauses(*envelopes):
    linter = StreamLinter(CONTRACT)
    return [finding.clause for each in envelopes for finding in linter.feed(each)]


def edited(envelope, **headers):
    return dataclasses.replace(envelope, headers={**envelope.headers, **headers})


def test_an_orderly_stream_has_no_findings(samples):
    records = [
        samples.record(domain, entity=n % 2)
        for domain in ("bars", "fills", "positions")
        for n in range(6)
    ]
    envelopes = [samples.envelope(each) for each in records]
    assert clauses(*envelopes) == []
    assert all(each.verdict == "accepted" for each in validate(envelopes))


def test_a_redelivered_record_is_no_second_one(samples):
    envelope = samples.envelope(samples.record("bars"))
    assert clauses(envelope, envelope) == []


def test_two_records_under_one_id(samples):
    one, two = (samples.envelope(samples.record("bars")) for _ in range(2))
    shared = edited(two, message_id=one.headers["message_id"].upper())
    assert clauses(one, shared) == ["HDR-02"]


def test_ids_that_go_back_within_a_producer(samples):
    one, two = (samples.envelope(samples.record("bars")) for _ in range(2))
    early = edited(two, message_id="01800000-0000-7000-8000-000000000000")
    assert clauses(one, early) == ["HDR-03"]
    other = edited(early, producer="another@1")
    assert clauses(one, other) == []


def test_a_run_id_that_changes(samples):
    one, two = (samples.envelope(samples.record("bars")) for _ in range(2))
    assert clauses(one, edited(two, run_id="run_other")) == ["HDR-14"]


def test_one_entity_under_two_keys(samples):
    one, two = (samples.envelope(samples.record("bars", entity=0)) for _ in range(2))
    assert clauses(one, edited(two, partition_key="AAPL.XNAS")) == ["KEY-det"]


@pytest.mark.parametrize(
    ("domain", "clause"), [("bars", "ORD-03"), ("positions", "ORD-05"), ("universe", "ORD-06")]
)
def test_time_that_goes_back_within_a_key(samples, domain, clause):
    late, later = (samples.record(domain, entity=0) for _ in range(2))
    ordered = [samples.envelope(late), samples.envelope(later)]
    assert clauses(*ordered) == []
    # Made in this order, so that the ids are sorted and only the times go back.
    backwards = [samples.envelope(later), samples.envelope(late)]
    assert clauses(*backwards) == [clause]


def test_the_first_time_of_a_key_may_be_any(samples):
    record = samples.record(
        "bars", entity=0, fields={"bars": [{"event_time": "1969-12-31T23:59:59Z"}]}
    )
    assert "ORD-03" not in clauses(samples.envelope(record))


def test_time_may_go_back_between_keys(samples):
    one, two = samples.record("bars", entity=0), samples.record("bars", entity=1)
    assert clauses(samples.envelope(two), samples.envelope(one)) == []
