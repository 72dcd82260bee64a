"""Judge records one by one and, where they are a stream, together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampy_conformance import contract as contracts
from ampy_conformance.contract.envelope import Envelope, from_json
from ampy_conformance.contract.lint import Linter
from ampy_conformance.contract.stream import StreamLinter
from ampy_conformance.validation.sources import Item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.findings import Finding


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found of one item; `problem` says why it could not be judged at all."""

    where: str
    findings: tuple[Finding, ...]
    problem: str | None = None

    @property
    def verdict(self) -> str:
        """accepted, warned, refused or unreadable."""
        if self.problem is not None:
            return "unreadable"
        severities = {each.severity for each in self.findings}
        if "fail" in severities:
            return "refused"
        return "warned" if "warn" in severities else "accepted"


@dataclass
class Summary:
    """Counts over all items: verdicts, and per clause and severity the findings."""

    verdicts: Counter[str] = field(default_factory=Counter)
    clauses: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, each: Judged) -> None:
        """Count one judged item."""
        self.verdicts[each.verdict] += 1
        for finding in each.findings:
            key = (finding.clause, finding.severity)
            self.clauses[key] += 1
            self.first.setdefault(key, each.where)

    @property
    def records(self) -> int:
        """How many items there were, unreadable ones included."""
        return self.verdicts.total()

    def exit_code(self, *, strict: bool) -> int:
        """Return 2 (an input is no envelope), 1 (refused), 4 (nothing there) or 0."""
        if self.verdicts["unreadable"]:
            return 2
        if self.verdicts["refused"] or (strict and self.verdicts["warned"]):
            return 1
        return 0 if self.records else 4

    def row(self) -> dict[str, Any]:
        """Return the summary as JSON data."""
        names = ("accepted", "warned", "refused", "unreadable")
        return {
            "records": self.records,
            **{name: self.verdicts[name] for name in names},
            "clauses": [
                {"clause": clause, "severity": severity, "findings": count, "first": first}
                for (clause, severity), count in sorted(self.clauses.items())
                for first in (self.first[clause, severity],)
            ],
        }


def judge(
    items: Iterable[Item],
    contract: Contract | None = None,
    *,
    lenient: bool = False,
    stream: bool | None = None,
) -> Iterator[Judged]:
    """Judge items as they come.

    `stream` says whether records are judged together: None leaves it to the items, True takes
    all of them as one stream in this order, False judges each alone. `lenient` grades what a
    consumer has to accept as a warning (A-12).
    """
    contract = contract or contracts.load()
    linter = Linter(contract, strict=not lenient)
    streams: dict[str, StreamLinter] = {}
    for each in items:
        if each.envelope is None:
            yield Judged(each.where, (), each.problem)
            continue
        examined = linter.examine(each.envelope)
        found = examined.findings
        name = {None: each.stream, True: "", False: None}[stream]
        if name is not None:
            if name not in streams:
                streams[name] = StreamLinter(contract)
            found = (*found, *streams[name].feed(each.envelope, examined))
        yield Judged(each.where, found)


def validate(
    records: Iterable[Mapping[str, Any] | Envelope],
    *,
    stream: bool = True,
    lenient: bool = False,
    contract: Contract | None = None,
) -> list[Judged]:
    """Validate records from Python: envelopes, or mappings with topic, headers and payload_b64.

    The same as `ampy-conform validate`. Returns one `Judged` a record, in order, `where` being
    its index; each has its findings (clause, level, severity, where, what was found, what is
    expected). With `stream` they are taken for successive records of one stream, and what only
    several of them show is found too (HDR-02, HDR-03, HDR-14, KEY-det, ORD-03, ORD-05, ORD-06).
    Raises `EnvelopeError` for a mapping that is no envelope, `SpecError` for a contract that
    does not load.
    """
    items = (
        Item(str(number), each if isinstance(each, Envelope) else from_json(each))
        for number, each in enumerate(records)
    )
    return list(judge(items, contract, lenient=lenient, stream=stream))
