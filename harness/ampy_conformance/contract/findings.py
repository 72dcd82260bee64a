"""What the validator says of a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ampy_conformance.contract.model import Contract

SEVERITY = {
    "MUST": "fail",
    "MUST NOT": "fail",
    "SHOULD": "warn",
    "MAY": "info",
    "UNSPECIFIED": "info",
}
SHOWN = 80
LONGEST = 240


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation: the clause, its level, how it is graded, where, what, what was expected.

    `severity` is fail, warn or info; a settled ambiguity may grade it milder than its level.
    `found` is a bounded part of a topic or header, never of a payload; of a payload `expected`
    may name the parts of its key, which the topic and headers have to carry anyway.
    """

    clause: str
    level: str
    severity: str
    where: str
    found: str | None
    expected: str
    message: str

    def row(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return asdict(self)


def finding(
    contract: Contract,
    clause: str,
    where: str,
    found: str | None,
    expected: str,
    severity: str | None = None,
) -> Finding:
    """Make a finding; its severity follows from the clause's level unless it is given."""
    level = contract.clauses[clause].level
    shown = shorten(found)
    if len(expected) > LONGEST or not expected.isprintable():  # it may quote another record
        expected = f"{expected[:LONGEST]!r}"
    says = f"{where} is missing" if found is None else f"{where} is {shown}"
    return Finding(
        clause,
        level,
        severity or SEVERITY[level],
        where,
        shown,
        expected,
        f"{says}, expected {expected}",
    )


def shorten(text: str | None) -> str | None:
    """Return a value that is safe to print: bounded, control characters escaped."""
    if text is None:
        return None
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}... ({len(text)} characters)"
