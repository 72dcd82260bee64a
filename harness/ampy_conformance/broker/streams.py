"""Which streams a lane has: live records in one, dead letters in the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Streams:
    """Names for the binding, and what each stream takes; the main stream stands first."""

    names: dict[str, str]
    patterns: dict[str, list[str]]


def of_contract(domains: Iterable[str], mapping: Mapping[str, Any]) -> Streams:
    """Return the streams that take the topics of these domains, as `spec/nats.yaml` names them.

    The DLQ stream takes whatever begins like a dead letter: also forms that the contract
    forbids have to be stored to be judged (A-05).
    """
    live, dead = mapping["streams"]["live"], mapping["streams"]["dead"]
    subjects = [live["subjects"].format(domain=each) for each in domains if each != dead["domain"]]
    return Streams(
        names={"stream": live["name"], "dlq_stream": dead["name"]},
        patterns={live["name"]: subjects, dead["name"]: [dead["subjects"]]},
    )
