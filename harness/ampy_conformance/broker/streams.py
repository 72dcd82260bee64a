"""Which streams a lane has: live records in one, dead letters in the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Streams:
    """Names for the binding, and what each stream takes; the main stream stands first."""

    names: dict[str, str]
    patterns: dict[str, list[str]]


def of_contract(domains: Iterable[str], prefix: str, dead: str) -> Streams:
    """Return the streams for topics `{prefix}.{env}.{domain}.>`; `dead` is the DLQ's domain.

    The DLQ stream takes whatever begins like a dead letter: also forms that the contract
    forbids have to be stored to be judged (A-05).
    """
    main, graves = prefix.upper(), f"{prefix.upper()}_{dead.upper()}"
    live = [f"{prefix}.*.{each}.>" for each in domains if each != dead]
    return Streams(
        names={"stream": main, "dlq_stream": graves},
        patterns={main: live, graves: [f"{prefix}.*.{dead}.>"]},
    )
