"""Records against rules: what one contract accepts, judged under the other.

The rules say what a change means; here it is tried. Every envelope that either contract makes,
valid, tolerated or faulty, is judged under both, and so is one for each changed pattern, with a
value that only one of them takes. A record that the old contract accepts and the new one refuses
breaks its producer; one that only the new contract accepts breaks a consumer that is given it.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from ampy_conformance.contract import encoding, golden, payloads
from ampy_conformance.contract.lint import Linter
from ampy_conformance.contract.registry import SpecError
from ampy_conformance.contract.samples import SampleError
from ampy_conformance.contract.topics import TopicError, parse
from ampy_conformance.gate.relations import witness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.envelope import Envelope
    from ampy_conformance.contract.golden import Golden
    from ampy_conformance.gate.changes import Change

DEAD = "dlq"
MAJOR = re.compile(r"\.(v\d+)\.")
# Findings against what a record holds, not against its form.
DECODED = "decoded payload"


@dataclass(frozen=True)
class Refusal:
    """A record that one contract accepts and the other does not: whom that breaks, and why."""

    audience: str
    record: str
    domain: str | None
    clause: str
    where: str
    message: str


@dataclass(frozen=True)
class Evidence:
    """What was tried: how many records each side accepts of all, and the refusals."""

    records: int
    accepted: dict[str, int]
    refusals: tuple[Refusal, ...]
    made: dict[str, dict[str, Golden]]  # the golden envelopes of each side by name
    self_refused: dict[str, list[str]]  # those said to be valid that their own side refuses
    unmade: dict[str, str | None]  # why a side makes no golden envelopes


def gather(old: Contract, new: Contract, changes: Sequence[Change]) -> Evidence:
    """Judge the records of both contracts under both.

    A contract whose samples lag so far behind that no golden envelope can be made is tried with
    those of the other alone. Raises `SpecError` where a contract contradicts itself.
    """
    trouble = {"old": _made(old)[1], "new": _made(new)[1]}
    made = {"old": _made(old)[0], "new": _made(new)[0]}
    linters = {"old": Linter(old), "new": Linter(new)}
    corpus: list[tuple[str, str, Envelope]] = []
    for side, own in made.items():
        corpus += [
            (side, f"{side}:{each.name}", each.envelope)
            for each in own.values()
            if side == "old" or not _same(each, made["old"].get(each.name))
        ]
    corpus += [*_witnesses(old, new, changes, made)]
    schemas_differ = _schema(old) != _schema(new)
    refusals: list[Refusal] = []
    accepted = {"old": 0, "new": 0}
    for side, name, envelope in corpus:
        found = {which: _judged(which, each, name, envelope) for which, each in linters.items()}
        for which in accepted:
            accepted[which] += not found[which]
        domain = _domain(old, envelope) or _domain(new, envelope)
        if not found["old"]:
            refusals += _refusals("producers", name, domain, found["new"])
        if not found["new"] and _within_reach(old, envelope):
            refusals += _refusals("consumers", name, domain, found["old"])
        if schemas_differ and not found["old"] and not found["new"]:
            refusals += _misread(side, name, domain, envelope, old, new)
    refused = {side: _self_refused(own, linters[side]) for side, own in made.items()}
    return Evidence(len(corpus), accepted, tuple(refusals), made, refused, trouble)


def _schema(contract: Contract) -> bytes:
    return (contract.root / payloads.DESCRIPTORS).read_bytes()


def _same(each: Golden, other: Golden | None) -> bool:
    """Tell whether two golden envelopes are the same record, so that one of them is enough."""
    return other is not None and each.envelope == other.envelope


def _self_refused(own: dict[str, Golden], linter: Linter) -> list[str]:
    """Return the envelopes that are said to be valid and are not: the samples lag behind."""
    valid = (each for each in own.values() if each.expects == "valid")
    return [each.name for each in valid if _fails(linter, each.envelope)]


@functools.cache
def _made(contract: Contract) -> tuple[dict[str, Golden], str | None]:
    """Return the golden envelopes by name, or why there are none."""
    try:
        return {each.name: each for each in golden.build(contract)}, None
    except (SpecError, SampleError, payloads.BuildError) as error:
        return {}, str(error)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return {}, f"{type(error).__name__} in the samples"


def _judged(side: str, linter: Linter, name: str, envelope: Envelope) -> list[tuple[str, str, str]]:
    try:
        return _fails(linter, envelope)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SpecError(
            f"the {side} contract contradicts itself: {name} cannot be judged by it "
            f"({type(error).__name__}: {str(error)[:80]}); run 'ampy-conform spec check' on it"
        ) from error


def _fails(linter: Linter, envelope: Envelope) -> list[tuple[str, str, str]]:
    return [
        (each.clause, each.where, each.message)
        for each in linter.check(envelope)
        if each.severity == "fail"
    ]


def _refusals(
    audience: str, name: str, domain: str | None, found: Sequence[tuple[str, str, str]]
) -> Iterator[Refusal]:
    for clause, where, message in found:
        yield Refusal(audience, name, domain, clause, where, message)


def _domain(contract: Contract, envelope: Envelope) -> str | None:
    try:
        return parse(contract, envelope.topic).domain
    except TopicError:
        return None


def _within_reach(contract: Contract, envelope: Envelope) -> bool:
    """Tell whether somebody who keeps this contract could be subscribed to the record's topic.

    Nobody is to an environment, a domain or a major that the contract does not know.
    """
    tokens = envelope.topic.split(".")
    if len(tokens) < 4 or tokens[1] not in contract.envs or tokens[2] not in contract.domains:
        return False
    domain = contract.domains[tokens[2]]
    majors = {found[1] for each in domain.payloads if (found := MAJOR.search(each))}
    return tokens[3] in (majors or {"v1"})


# -- values that only one side takes ------------------------------------------------------


def _witnesses(
    old: Contract, new: Contract, changes: Sequence[Change], made: dict[str, dict[str, Golden]]
) -> Iterator[tuple[str, str, Envelope]]:
    for change in changes:
        if change.kind == "changed" and change.place[0] in ("headers", "grammar"):
            for side, ours, others in (
                ("old", change.before, change.after),
                ("new", change.after, change.before),
            ):
                contract = old if side == "old" else new
                for envelope in _witness(contract, change, witness(ours, others), made[side]):
                    yield side, f"{side}:a record made for {change.where}", envelope


def _witness(
    contract: Contract, change: Change, value: str | None, own: dict[str, Golden]
) -> Iterator[Envelope]:
    """Yield a valid envelope with a value that only this side's pattern takes, if there is one."""
    if value is None or not own:
        return
    if change.place[0] == "grammar" and change.place[1] == "TOKEN":
        envelope = own["golden/signals/typical"].envelope
        yield replace(envelope, topic=f"{envelope.topic.rsplit('.', 1)[0]}.{value}")
    elif change.place[0] == "headers" and change.place[2:] == ("pattern",):
        name = change.place[1]
        header = next((each for each in contract.headers if each.name == name), None)
        dead = header is not None and DEAD in (header.only_domain, header.expected_on)
        envelope = own[f"golden/{DEAD}/undecodable"].envelope if dead else _carrier(own, name)
        yield replace(envelope, headers={**envelope.headers, name: value})


def _carrier(own: dict[str, Golden], name: str) -> Envelope:
    """Return a valid live envelope that has the header, or the first one."""
    live = [e.envelope for e in own.values() if e.expects == "valid" and f"/{DEAD}/" not in e.name]
    return next((each for each in live if name in each.headers), live[0])


# -- what a payload says under either schema ----------------------------------------------


def _misread(
    side: str, name: str, domain: str | None, envelope: Envelope, old: Contract, new: Contract
) -> Iterator[Refusal]:
    """Yield a refusal where the other schema parses the bytes and reads something else."""
    contracts = {"old": old, "new": new}
    other = "new" if side == "old" else "old"
    said = _view(contracts[side], envelope)
    read = _view(contracts[other], envelope)
    if said is None or read is None:
        return
    # What the other schema does not know it skips (SER-09); what it does know must be the same.
    # From old to new nothing may be lost: the new schema has all that there was.
    lost = _differs(said, read, whole=side == "old")
    if lost is not None:
        audience = "producers" if side == "old" else "consumers"
        message = f"{lost} is read in another way, or not at all, under the {other} schema"
        yield Refusal(audience, name, domain, "SER-01", DECODED, message)


def _view(contract: Contract, envelope: Envelope) -> dict[str, Any] | None:
    try:
        body = encoding.decode_body(envelope.headers, envelope.payload or b"")
        types = payloads.types(contract)
        message = types.decode(envelope.headers["schema_fqdn"], body)
        view: dict[str, Any] = json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    except (encoding.EncodingFault, KeyError, ValueError, json_format.Error):
        return None
    return view


def _differs(said: Any, read: Any, *, whole: bool, place: str = "") -> str | None:
    """Return the first field that differs.

    With `whole` nothing that was said may be missing; without it what the reader does not know
    does not count, but what it knows has to be there.
    """
    if isinstance(said, dict) and isinstance(read, dict):
        missing = said.keys() - read.keys() if whole else read.keys() - said.keys()
        if missing:
            return _join(place, min(missing))
        shared = ((name, said[name], read[name]) for name in said if name in read)
    elif isinstance(said, list) and isinstance(read, list) and len(said) == len(read):
        shared = (("[]", one, other) for one, other in zip(said, read, strict=True))
    else:
        return None if said == read else place
    found = (_differs(a, b, whole=whole, place=_join(place, name)) for name, a, b in shared)
    return next((each for each in found if each is not None), None)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
