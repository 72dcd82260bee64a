"""From the contract's topics to Kafka's and back, as `spec/kafka.yaml` says."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Topics:
    """The mapping, and what the lanes of a broker need: topics of every environment and domain."""

    template: str
    header: str
    key: str
    dead: str
    domains: tuple[str, ...]
    envs: tuple[str, ...]

    @property
    def root(self) -> str:
        """What the name of each topic of the contract begins with."""
        return self.template.partition("{")[0]

    def all(self) -> list[str]:
        """Return the Kafka topics that a lane has from the beginning."""
        return [
            self.template.format(env=env, domain=domain, version="v1")
            for env, domain in itertools.product(self.envs, self.domains)
        ]

    def physical(self, topic: str) -> str | None:
        """Return the Kafka topic of a logical one; None where there cannot be one."""
        tokens = topic.split(".")
        if len(tokens) < 4 or tokens[2] not in self.domains:
            return None
        return self.template.format(env=tokens[1], domain=tokens[2], version=tokens[3])

    def logical(self, physical: str, headers: Iterable[tuple[str, str]]) -> str:
        """Return the full topic of a record: what its header says, else the Kafka topic (A-51)."""
        found = next((value for name, value in headers if name == self.header), physical)
        # A dead letter that keeps all headers of its original lies where it lies.
        return physical if self.is_dead(physical) and not self.is_dead(found) else found

    def ours(self, physical: str) -> bool:
        """Tell whether a Kafka topic is one of the contract's."""
        return physical.startswith(self.root)

    def is_dead(self, physical: str) -> bool:
        """Tell whether a Kafka topic takes dead letters, in whatever form (A-05)."""
        return physical.split(".")[2:3] == [self.dead]


def of_contract(domains: Iterable[str], envs: Sequence[str], mapping: Mapping[str, Any]) -> Topics:
    """Return the mapping of a contract."""
    return Topics(
        template=mapping["topic"],
        header=mapping["topic_header"],
        key=mapping["key"],
        dead=mapping["dead"]["domain"],
        domains=tuple(domains),
        envs=tuple(envs),
    )
