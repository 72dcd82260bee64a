"""What a change touches: clauses, tests, golden envelopes, and reports that are past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.golden import Golden
    from ampy_conformance.contract.references import SuiteRef
    from ampy_conformance.gate.changes import Change
    from ampy_conformance.gate.rules import Rule

NAMING = ("clause", "pattern_clause", "subtopic_clause")


def clauses(change: Change, rule: Rule, sides: Sequence[Contract]) -> tuple[str, ...]:
    """Return the ids of the clauses that a change touches, in the order of the contract."""
    found = {*rule.clauses, *_named(change.entity), *_named(change.before), *_named(change.after)}
    root, name = change.place[0], change.place[1] if len(change.place) > 1 else ""
    if root == "clauses":
        found.add(name)
    for contract in sides:
        if root == "domains" and (domain := contract.domains.get(name)) is not None:
            found |= _domain_clauses(change, domain)
        if root == "ambiguities":
            found |= {e.id for e in contract.clauses.values() if name in e.ambiguities}
    known = dict.fromkeys(each for contract in sides for each in contract.clauses)
    return tuple(each for each in known if each in found)


def _named(data: Any) -> Iterator[str]:
    """Yield the clauses that data names in fields of the contract's own."""
    if isinstance(data, dict):
        for name, value in data.items():
            if name in NAMING and isinstance(value, str):
                yield value


def _domain_clauses(change: Change, domain: Any) -> set[str]:
    parts = {
        "key": (domain.key.clause,),
        "parts": (domain.key.clause,),
        "order": (domain.order.clause,),
        "subtopics": (domain.subtopic_clause,),
        "dedupe": (domain.dedupe.clause if domain.dedupe else None,),
        "slo": (domain.slo["clause"] if domain.slo else None,),
    }
    what = change.place[2] if len(change.place) > 2 else None
    named = parts.get(what, ()) if what else [each for part in parts.values() for each in part]
    return {each for each in named if each}


def tests(ids: Iterable[str], judges: Mapping[str, Sequence[SuiteRef]]) -> list[str]:
    """Return the tests and properties that judge these clauses."""
    refs = [ref for each in ids for ref in judges.get(each, ())]
    return sorted({f"{e.file}::{e.name}" if e.file.endswith(".py") else e.file for e in refs})


def envelopes(made: Mapping[str, Mapping[str, Golden]]) -> dict[str, list[str]]:
    """Return the golden envelopes that are added, removed or changed from old to new."""
    old, new = made["old"], made["new"]
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(
            name for name in old.keys() & new.keys() if _content(old[name]) != _content(new[name])
        ),
    }


def _content(each: Golden) -> tuple[Any, ...]:
    envelope = each.envelope
    return envelope.topic, dict(envelope.headers), envelope.payload, each.expects, each.clause


def reports(ids: Sequence[str], past: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return what past reports say of these clauses, where they judged one.

    `past` has the outcome of every clause by the name of the report.
    """
    judged = {"pass", "warn", "fail", "known failure"}
    found = {
        name: {each: said[each] for each in ids if said.get(each) in judged}
        for name, said in past.items()
    }
    return {name: said for name, said in found.items() if said}
