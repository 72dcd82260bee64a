"""What is sent, and when: fixed by a seed before anything is sent."""

from __future__ import annotations

import base64
import itertools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.contract import topics
from ampy_conformance.load.exceedance import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.samples import Sample, Samples

# As the protocol's limit: what fits into one line with room to spare.
MOST_SENDS = 400_000
ENTITIES = 8
DIGITS = 10
DEFAULT_MIX = ((300, 1000.0), (65_536, 50.0))


@dataclass(frozen=True)
class Offered:
    """The offered load of one side: records a second, sizes with weights, domains."""

    rate: float
    mix: Sequence[tuple[int, float]]
    domains: Sequence[str]

    def facts(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return {
            "rate": self.rate,
            "mix": [{"bytes": size, "weight": weight} for size, weight in self.mix],
            "domains": list(self.domains),
        }


@dataclass(frozen=True)
class Template:
    """A record of which load records are copies but for their number."""

    sample: Sample
    size: int

    def frame(self, marker: str) -> dict[str, Any]:
        """Return the record as a frame has it."""
        found: dict[str, Any] = {
            "topic": self.sample.topic,
            "schema_fqdn": self.sample.schema_fqdn,
            "schema_version": self.sample.schema_version,
            "payload": base64.b64encode(self.sample.payload).decode(),
            "key": dict(self.sample.key),
        }
        if self.sample.dedupe_key is not None:
            found["dedupe_key"] = self.sample.dedupe_key
        assert marker.encode() in self.sample.payload
        return found


@dataclass(frozen=True)
class Schedule:
    """Intended times (ns from the start) and the template of each send."""

    times: list[int]
    picks: list[int]


def templates(samples: Samples, offered: Offered, marker: str, env: str) -> list[Template]:
    """Return templates of every size, domain and entity, sizes outermost; deterministic.

    Entities with letters beyond ASCII are left out: whoever loses their records breaks other clauses
    than those about time.
    """
    return [
        Template(record, size)
        for size, _ in offered.mix
        for domain in offered.domains
        for record in itertools.islice(
            _plain(samples, domain, env, f"{marker}{0:0{DIGITS}d}", size),
            ENTITIES if size < 4096 else 1,
        )
    ]


def _plain(samples: Samples, domain: str, env: str, tag: str, size: int) -> Iterator[Sample]:
    """Return records of one entity after another."""
    for entity in itertools.count():
        record = samples.record(domain, entity=entity, env=env, tag=tag, size=size)
        if record.topic.isascii() and all(each.isascii() for each in record.key.values()):
            yield record


def poisson(offered: Offered, found: Sequence[Template], seconds: float, seed: str) -> Schedule:
    """Return Poisson arrivals at the offered rate; sizes by weight, domains and entities evenly."""
    rng = random.Random(seed)
    times: list[int] = []
    at = rng.expovariate(offered.rate)
    while at < seconds and len(times) <= MOST_SENDS:
        times.append(int(at * SECOND))
        at += rng.expovariate(offered.rate)
    fits(len(times))
    return Schedule(times, _picks(rng, offered, found, len(times)))


def fits(sends: float) -> None:
    """Raise `UsageError` where one stretch would have more sends than a plan holds."""
    if sends > MOST_SENDS:
        raise UsageError(
            f"one stretch would have more sends than a plan holds ({MOST_SENDS}): "
            "offer a lower --rate, or a shorter --duration"
        )


def saturating(offered: Offered, found: Sequence[Template], count: int, seed: str) -> Schedule:
    """Return sends that are all due at once: what a fixed window lets through is the throughput."""
    rng = random.Random(seed)
    return Schedule([0] * count, _picks(rng, offered, found, count))


def _picks(
    rng: random.Random, offered: Offered, found: Sequence[Template], count: int
) -> list[int]:
    by_size = {
        size: [index for index, each in enumerate(found) if each.size == size]
        for size, _ in offered.mix
    }
    sizes = rng.choices(
        [size for size, _ in offered.mix], [weight for _, weight in offered.mix], k=count
    )
    return [rng.choice(by_size[size]) for size in sizes]


def mix_of(text: str) -> tuple[tuple[int, float], ...]:
    """Read a payload mix `SIZE:WEIGHT,...` (bytes); raises `UsageError`."""
    found = []
    for part in text.split(","):
        size, colon, weight = part.partition(":")
        try:
            each = (int(size), float(weight) if colon else 1.0)
        except ValueError:
            each = (0, 0.0)
        if not 300 <= each[0] < 1_000_000 or not 0 < each[1] < 1e9:
            raise UsageError(
                f"--mix: {part!r} is no SIZE:WEIGHT (300 to 999999 bytes), as in 300:1000,65536:50"
            )
        found.append(each)
    return tuple(found)


def limits(contract: Contract) -> dict[str, tuple[str, int]]:
    """Return the clause and the p99 limit in ms of every domain that has one."""
    return {
        name: (each.slo["clause"], int(each.slo["p99_ms"]))
        for name, each in contract.domains.items()
        if each.slo
    }


def domain_of(contract: Contract, topic: str) -> str:
    """Return the domain of a topic."""
    return topics.parse(contract, topic).domain
