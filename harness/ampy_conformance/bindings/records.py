"""Records on their way to a handler."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampy_conformance.bindings.names import remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ampy_conformance.bindings.state import Claim


@dataclass(eq=False, slots=True)
class Record:
    """One record as the broker handed it out; `token` is what the transport acknowledges with."""

    position: str
    topic: str
    headers: Mapping[str, str]
    payload: bytes
    token: Any = None
    redelivered: int = 0
    attempt: int = 0
    body: bytes = b""
    ids: tuple[str, ...] = ()
    delivery: str | None = None
    delivered_at: float = 0.0
    dead_attempts: int = 0
    reason: str = ""
    replay: str | None = None  # the request that this delivery answers
    trouble: str = ""  # how the last attempt ended
    known: Mapping[str, str] = field(default_factory=dict)
    log: str = ""  # which log the position counts in, where a broker has several
    refused: bool = False  # admission has refused it
    lane: str = ""  # the queue in which it waits
    claims: tuple[Claim, ...] | None = None  # what its payload says, where admission has seen it
    version: int = -1  # of the group's memory when its handler was called
    followed: bool = False  # the broker has more that comes right behind it

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells a record apart from its own replay."""
        return self.replay or "", self.log, self.position

    @property
    def watermark(self) -> tuple[str, str] | None:
        """The checkpoint that follows from it; a replay moves none (RPL-05)."""
        scope = f"{self.log}/{self.key}" if self.log else self.key
        return None if self.replay else (scope, self.position)

    @property
    def burial(self) -> str:
        """The id under which a stored dead letter is remembered: a redrive has another place."""
        return f"buried|{self.log}|{self.position}"

    @property
    def key(self) -> str:
        """What orders the record: its partition key, or its topic where it has none."""
        return self.known.get("partition_key") or self.topic

    @property
    def dead(self) -> bool:
        """Whether this is a dead letter itself."""
        return ".dlq." in self.topic and self.topic.split(".")[2] == "dlq"


def fold(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers under lower-case names: consumers match without regard to case (A-53)."""
    names = tuple(headers)
    lower = _lower(names)
    return headers if lower == names else dict(zip(lower, headers.values(), strict=True))


@remembered
def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each.lower() for each in names)
