"""Samples and keys: valid, unique, reproducible, and of exactly the size that was asked for."""

from __future__ import annotations

import pytest

from ampy_conformance import contract as contracts
from ampy_conformance.contract import keys, recipes, topics
from ampy_conformance.contract.lint import Linter
from ampy_conformance.contract.samples import SampleError, Samples, message_of

CONTRACT = contracts.load()
DOMAINS = [name for name, each in CONTRACT.domains.items() if each.payloads]
CASES = [(name, case) for name in DOMAINS for case in recipes.recipe(CONTRACT, name).cases]


@pytest.mark.parametrize(("domain", "case"), CASES)
def test_every_case_makes_records_without_findings(domain, case):
    samples = Samples(CONTRACT, seed=1)
    chosen = recipes.recipe(CONTRACT, domain).case(case)
    if chosen.pointer:
        pytest.skip("a pointer is made by the golden builder")
    for entity in (chosen.entity, 7):
        envelope = samples.envelope(samples.record(domain, case, entity, env="dev"))
        assert Linter(CONTRACT).check(envelope) == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_same_seed_makes_the_same_records_and_no_two_are_alike(domain):
    made = [[Samples(CONTRACT, seed=9).record(domain).digest for _ in range(1)] for _ in range(2)]
    assert made[0] == made[1]
    samples = Samples(CONTRACT, seed=9)
    digests = [samples.record(domain, entity=0).digest for _ in range(20)]
    assert len(set(digests)) == 20


@pytest.mark.parametrize("domain", DOMAINS)
def test_entities_and_keys_belong_together(domain):
    samples = Samples(CONTRACT, seed=9)
    by_entity = [
        [samples.record(domain, entity=n).partition_key for _ in range(2)] for n in range(8)
    ]
    assert all(one == two for one, two in by_entity)
    assert len({each for each, _ in by_entity}) == 8


@pytest.mark.parametrize("size", [131_071, 131_072, 131_073, 300_000])
@pytest.mark.parametrize("compressible", [True, False])
def test_a_size_is_met_to_the_byte(size, compressible):
    sample = Samples(CONTRACT, seed=2).record("news", size=size, compressible=compressible)
    assert len(sample.payload) == size


def test_the_key_follows_from_the_payload():
    for domain in DOMAINS:
        sample = Samples(CONTRACT, seed=3).record(domain)
        topic = topics.parse(CONTRACT, sample.topic)
        forms = keys.expected(CONTRACT, topic, sample.schema_fqdn, message_of(CONTRACT, sample))
        assert forms is None or forms.canonical == sample.partition_key, domain


def test_a_key_part_that_holds_the_delimiter_is_refused():
    with pytest.raises(keys.MissingPart):
        keys.from_parts(CONTRACT, "fills", {"account_id": "a|b", "client_order_id": "c"})
    with pytest.raises(keys.MissingPart):
        keys.from_parts(CONTRACT, "fills", {"account_id": "a"})


@pytest.mark.parametrize("arguments", [("candles",), ("dlq",), ("bars", "nosuch")])
def test_what_cannot_be_made_is_told_in_one_sentence(arguments):
    with pytest.raises(SampleError) as error:
        Samples(CONTRACT, seed=1).record(*arguments)
    assert "\n" not in str(error.value)
