"""A scan yields all that is stored under a pattern, once, up to where the logs ended, and keeps nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from ampy_conformance import broker as brokers
from ampy_conformance import contract as contracts
from ampy_conformance.broker.facts import number
from ampy_conformance.contract.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.broker.base import Lane

CONTRACT = contracts.load()
MANY = 1200  # more than one page of any broker


@pytest.fixture(
    params=["memory", pytest.param("nats"), pytest.param("kafka", marks=pytest.mark.slow)],
    scope="module",
)
def lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(
            brokers.provision(request.param, domains=list(CONTRACT.domains))
        )
        found = broker.lane()
        stack.callback(found.close)
        found.untap()
        yield found


def test_all_of_a_pattern_is_found_once_and_nothing_else(lane: Lane) -> None:
    samples = Samples(CONTRACT, seed=3)
    observer = lane.observe()

    def stored(domain: str, env: str, count: int) -> list[bytes]:
        made = [
            samples.envelope(samples.record(domain, entity=n % 5, env=env)) for n in range(count)
        ]
        observer.publish_many([(e.topic, e.headers, e.payload or b"") for e in made])
        return [each.headers["message_id"].encode() for each in made]

    mine = stored("bars", "dev", MANY)
    stored("bars", "paper", 3)
    stored("orders", "dev", 3)
    ends = observer.ends()
    later = stored("bars", "dev", 5)

    def ids(records: list) -> list[bytes]:  # type: ignore[type-arg]
        return sorted(dict(each.headers)["message_id"].encode() for each in records)

    found = list(observer.scan("ampy.dev.bars.v1.>"))
    assert ids(found) == sorted(mine + later)
    before = [each for each in found if number(each.position) < ends[each.stream]]
    assert ids(before) == sorted(mine)
    assert not list(observer.scan("ampy.prod.bars.v1.>"))
    assert len(list(observer.scan("ampy.*.bars.v1.>"))) == MANY + 5 + 3
