"""What a consumer that keeps state holds of an entity (ORD-07 to ORD-11), asked by the frame `query`.

The state is an object: `message_id` of the record that is held where the latest wins, `sum`
where records add up.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest


class Keeper:
    """A consumer that keeps state of one domain, and the records that it is fed."""

    def __init__(self, lab, domain):
        self.lab = lab
        self.domain = domain
        self.bus = lab.bus()
        self.subscription = self.bus.subscribe(f"ampy.dev.{domain}.v1.>", group="keeper")
        self.ids = {}

    def feed(self, *samples):
        """Hand records over in this order, each one after the last was settled."""
        for each in samples:
            self.ids[each.digest] = self.lab.inject(each).headers["message_id"]
            self.lab.deliver_control(self.subscription, each)

    def again(self, sample):
        """Deliver a record once more, under its id, and wait until it was dealt with."""
        first = self.lab.on_wire(sample)[0]
        self.lab.inject_raw(first.topic, first.header_map(), first.payload)
        self.feed(self.lab.sample(self.domain, entity=9))

    def holds(self, clause, sample, says):
        """Judge: the record held of the entity is this one."""
        state = self.subscription.query(sample) or {}
        known = {message_id: digest for digest, message_id in self.ids.items()}
        held = known.get(state.get("message_id"), "nothing")
        self.lab.equal(clause, sample.digest[:12], held[:12], says)

    def sums(self, clause, sample, expected, says):
        """Judge: the sum held of the entity."""
        state = self.subscription.query(sample) or {}
        seen = Decimal(str(state.get("sum", "NaN")))
        self.lab.equal(clause, str(Decimal(expected).normalize()), str(seen.normalize()), says)


def _in_disorder(lab, domain, field, clause, **fields):
    """Judge that the latest by `field` is held: in order, late, twice, and of another entity."""
    keeper = Keeper(lab, domain)
    early, middle, late = (
        lab.sample(domain, entity=0, fields={field: f"2025-09-05T20:00:{second:02d}Z", **fields})
        for second in (10, 20, 30)
    )
    other = lab.sample(domain, entity=1, fields={field: "2025-09-05T23:00:00Z", **fields})
    keeper.feed(middle)
    keeper.holds(clause, middle, "the first record is not held")
    keeper.feed(late)
    keeper.holds(clause, late, "a later record does not replace the earlier one")
    keeper.feed(early)
    keeper.holds(clause, late, "a late arrival replaced what is newer")
    keeper.again(middle)
    keeper.holds(clause, late, "a duplicate of an old record replaced what is newer")
    keeper.feed(other)
    keeper.holds(clause, late, "a record of another entity replaced it")
    keeper.holds(clause, other, "the other entity's record is not held")
    return keeper, late


@pytest.mark.clause("ORD-07")
def test_the_latest_rate_wins(lab):
    """fx: the snapshot with the latest as_of is held, whatever comes after it."""
    _in_disorder(lab, "fx", "as_of", "ORD-07")


@pytest.mark.clause("ORD-08")
def test_the_latest_signal_wins(lab):
    """signals: the latest generated_at is held for its model, security and horizon."""
    _in_disorder(lab, "signals", "generated_at", "ORD-08")


@pytest.mark.clause("ORD-08")
def test_an_expired_signal_is_not_held(lab):
    """A signal that has expired is gone, one that expires later is there."""
    keeper = Keeper(lab, "signals")
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
    brief = lab.sample("signals", entity=0, fields={"expires_at": soon})
    lasting = lab.sample("signals", entity=1)
    dead = lab.sample("signals", entity=2, fields={"expires_at": "2025-09-05T20:00:00Z"})
    keeper.feed(brief)
    if (dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")) < soon:
        keeper.holds("ORD-08", brief, "a signal is not held before it expires")
    keeper.feed(lasting, dead)
    gone = keeper.subscription.query(dead)
    lab.true("ORD-08", gone is None, "a signal that came after it had expired is held")
    lab.eventually(lambda: keeper.subscription.query(brief) is None, 6.0)
    gone = keeper.subscription.query(brief)
    lab.must("ORD-08", gone is None, "an expired signal is still held")
    keeper.holds("ORD-08", lasting, "a signal that has not expired is gone")


@pytest.mark.clause("ORD-09")
def test_fills_accumulate_in_any_order(lab):
    """fills: quantities add up, late ones too, each fill once."""
    keeper = Keeper(lab, "fills")
    quantities = ((40, 0), (25, 1), (700, 2), (-5, 0))
    times = ("20:00:30", "20:00:10", "20:00:40", "20:00:20")
    fills = [
        lab.sample(
            "fills",
            entity=0,
            fields={
                "quantity": {"scaled": scaled, "scale": scale},
                "event_time": f"2025-09-05T{at}Z",
            },
        )
        for (scaled, scale), at in zip(quantities, times, strict=True)
    ]
    other = lab.sample("fills", entity=1, fields={"quantity": {"scaled": 3, "scale": 0}})
    keeper.feed(*fills, other)
    keeper.sums("ORD-09", fills[0], "44.5", "fills in any order do not add up")
    keeper.again(fills[1])
    keeper.sums("ORD-09", fills[0], "44.5", "a fill that came twice was added twice")
    keeper.sums("ORD-09", other, "3", "the other order's fills do not add up")


@pytest.mark.clause("ORD-10")
def test_restatements_replace_what_they_restate(lab):
    """fundamentals: of one period the latest as_of is held, and an old one does not come back."""
    _in_disorder(lab, "fundamentals", "as_of", "ORD-10")


@pytest.mark.clause("ORD-11")
def test_counters_are_not_counted_twice(lab):
    """metrics: a counter's increments add up once each; a gauge is replaced by a later value."""
    keeper = Keeper(lab, "metrics")
    counter = {"name": "oms.rejects_total"}
    steps = [_metric(lab, counter, value) for value in (1, 2.5, 4)]
    keeper.feed(*steps)
    keeper.sums("ORD-11", steps[0], "7.5", "increments of a counter do not add up")
    keeper.again(steps[1])
    keeper.sums("ORD-11", steps[0], "7.5", "a counter's record was counted twice")

    gauge = {"name": "oms.queue_depth"}
    late = _metric(lab, gauge, 5, at="2025-09-05T21:00:00Z")
    early = _metric(lab, gauge, 9, at="2025-09-05T20:00:00Z")
    keeper.feed(late, early)
    keeper.holds("ORD-11", late, "a late arrival replaced a gauge's newer value")


def _metric(lab, facts, value, at="2025-09-05T20:00:00Z"):
    """Return a record of a metric under a key of its own."""
    sample = lab.sample("metrics", entity=0, fields={**facts, "value": value, "at": at})
    return lab.keyed(sample, metric_name=facts["name"])
