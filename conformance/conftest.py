"""Observations that many cases share: what one binding puts on the wire, seen raw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from ampy_conformance.report.outcomes import MUST

# Every record of the gallery is published under these, by two producers at once.
IDENTITIES = (
    {"name": "conformance@1", "source": "conformance", "run_id": "run_a1"},
    {"name": "conformance@2", "source": "conformance", "run_id": "run_b7"},
)


@dataclass(frozen=True)
class Gallery:
    """What two producers published, and what the broker holds of it.

    `rows` pairs every acknowledged publish with its wire record; `findings` maps a clause
    to what the contract's linter says against these records. A domain whose records the binding
    refuses is not in it: TOP-03 and the clause of its key judge that.
    """

    rows: tuple[tuple[Any, Any, Any], ...]
    findings: dict[str, list[Any]]

    def judge(self, lab: Any, clause: str) -> None:
        """Judge `clause` on every record of the gallery."""
        lab.control(self.rows, "no record of the gallery reached the wire")
        told = self.findings.get(clause, [])
        found = [each for each in told if each.severity == "fail"]
        if not found and told and lab.session.contract.clauses[clause].level in MUST:
            # What a settled ambiguity tolerates breaks no MUST.
            lab.warn(clause, told[0].message)
        elif not found:
            found = told
        first = found[0] if found else None
        lab.true(
            clause,
            first is None,
            "records on the wire break it",
            expected=first and first.expected,
            seen=first and f"{first.message.partition(', expected')[0]} ({len(found)} in all)",
        )


@pytest.fixture(scope="session")
def gallery(shared_lab):
    """Publish records of every domain that a producer may publish, and read the wire."""
    lab = shared_lab()
    # What is tolerated in dev (JSON, A-46) is not elsewhere.
    bus = lab.bus(env="paper")
    producers = [bus.producer(**each) for each in IDENTITIES]
    rows = []
    for domain in lab.publishable():
        wanted = [lab.sample(domain, entity=entity, env="paper") for entity in (0, 0, 1)]
        for producer in producers:
            one = lab.sample(domain, entity=0, env="paper")
            mine = wanted if producer is producers[0] else [one]
            rows += [(producer, each) for each in producer.publish(*mine)]
    unknown = sorted({each.sample.domain for _, each in rows if each.outcome == "info"})
    lab.control(not unknown, f"publishes ended without an answer: {unknown}")
    paired = []
    for producer, each in rows:
        if each.outcome == "fail":
            continue
        wire = lab.wire_of(each)
        lab.control(wire, f"an acknowledged record of {each.sample.domain} is not on the wire")
        paired.append((producer, each, wire))
    return Gallery(tuple(paired), lab.lint([wire for _, _, wire in paired]))


@dataclass(frozen=True)
class Grave:
    """One record that had to end in the DLQ: what was injected, and its dead letter."""

    fault: str
    sample: Any
    injected: Any
    letter: Any


@pytest.fixture(scope="session")
def graveyard(shared_lab):
    """Let one record of each kind of poison end in the DLQ; a valid one goes before and after."""
    lab = shared_lab()
    poisoned, undecodable, violating = (
        lab.sample("bars", entity=each, env="paper") for each in (3, 4, 5)
    )
    bus = lab.bus(env="paper")
    subscription = bus.subscribe(
        "ampy.paper.bars.v1.>",
        handler=lambda delivery: "fail" if delivery.digest == poisoned.digest else "ack",
    )
    before = lab.sample("bars", env="paper")
    lab.inject(before)
    lab.deliver_control(subscription, before)

    graves = []
    injected = {
        "handler": (poisoned, lab.inject(poisoned, x_extra="kept")),
        "undecodable": (undecodable, lab.inject(undecodable, payload=b"\x0a\xff")),
        "violation": (violating, lab.inject(violating, drop=("schema_version",))),
    }
    for fault, (sample, envelope) in injected.items():
        message_id = envelope.headers["message_id"]
        letter = lab.dead_letter(
            lambda record, mine=message_id, body=envelope.payload: (
                record.header("message_id") == mine or record.payload == body
            )
        )
        graves.append(Grave(fault, sample, envelope, letter))
    after = lab.sample("bars", env="paper")
    lab.inject(after)
    lab.deliver_control(subscription, after)
    return tuple(graves)
