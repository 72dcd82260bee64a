"""Partition keys (KEY): the literal of each domain, and that one entity has one key."""

from __future__ import annotations

import pytest

DOMAINS = (
    "bars", "ticks", "news", "fx", "fundamentals", "universe", "signals", "orders", "fills",
    "positions", "metrics", "control", "corporate_actions",
)  # fmt: skip


@pytest.mark.parametrize(
    "domain",
    [pytest.param(each, marks=pytest.mark.clause(f"KEY-{each}")) for each in DOMAINS],
)
def test_the_key_of_each_domain(lab, gallery, domain):
    """partition_key on the wire is the literal that the contract gives for the record."""
    clause = f"KEY-{domain}"
    mine = [(each, wire) for _, each, wire in gallery.rows if each.sample.domain == domain]
    lab.covered(mine, f"no record of {domain} on the wire")
    for published, wire in mine:
        key = wire.header("partition_key")
        lab.true(clause, key, "partition_key is missing or empty", seen=key)
        forms = lab.key_forms(published.sample)
        if forms:
            lab.true(
                clause, key in forms, "partition_key is not the domain's", expected=forms, seen=key
            )
            if key != forms[0]:
                lab.warn(
                    clause,
                    f"partition_key {key!r} is tolerated, the contract's form is {forms[0]!r}",
                )


@pytest.mark.clause("KEY-det")
@pytest.mark.parametrize("domain", ["bars", "orders", "signals", "fills"])
def test_one_entity_has_one_key(lab, domain):
    """Two producers give equal keys to one entity, and different keys to different entities."""
    bus = lab.bus()
    samples = [lab.sample(domain, entity=each) for each in (0, 1, 0, 1)]
    lab.publish(bus, *samples[:2])
    lab.publish(bus, *samples[2:])
    wires = [lab.on_wire(each) for each in samples]
    lab.control(all(wires), "an acknowledged record is not on the wire")

    keys = [each[0].header("partition_key") for each in wires]
    lab.equal("KEY-det", keys[:2], keys[2:], "two producers gave one entity two keys")
    lab.true("KEY-det", keys[0] != keys[1], "two entities share a key", seen=keys[0])
