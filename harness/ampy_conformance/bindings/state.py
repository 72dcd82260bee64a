"""What a consumer knows of each entity, by its domain's rule (section 7, ORD-05 to ORD-11).

A change is made in the same transaction that marks the record as seen: a crash leaves both or
neither, so nothing is counted twice or lost.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ampy_conformance.bindings.store import State
from ampy_conformance.contract import payloads, topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ampy_conformance.bindings.records import Record
    from ampy_conformance.bindings.store import Store
    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.model import Domain


class Claim(NamedTuple):
    """What one entity of a payload says of its state; times are nanoseconds since 1970."""

    at: int = 0
    until: int | None = None
    amount: Any = 0
    metric: str = ""


def claims_of(domain: Domain, entities: Sequence[Any]) -> tuple[Claim, ...]:
    """Return what a payload's entities say, so that nobody need keep the payload's message for it.

    A time or an amount that is none (protobuf lets any number pass) says nothing.
    """
    rule, field = domain.order.rule, domain.order.field
    if field is None:
        return ()
    found: list[Claim] = []
    for each in entities:
        try:
            found.append(_claim(domain, rule, field, each))
        except (ValueError, ArithmeticError):
            continue
    return tuple(found)


def _claim(domain: Domain, rule: str, field: str, message: Any) -> Claim:
    if rule == "accumulate":
        return Claim(amount=decimal(getattr(message, field)))
    if rule == "counters":
        return Claim(message.at.ToNanoseconds(), None, message.value, message.name)
    at, until = getattr(message, field).ToNanoseconds(), domain.order.until
    return Claim(at, getattr(message, until).ToNanoseconds() if until else None)


class States:
    """The states of one group, kept in its store."""

    def __init__(self, contract: Contract, store: Store) -> None:
        self._contract = contract
        self._types = payloads.types(contract)
        self._store = store

    def apply(self, record: Record) -> tuple[str, str, State] | None:
        """Return (domain, key, new state), None where the record changes nothing."""
        if record.dead:
            return None
        domain = self._contract.domains[record.topic.split(".")[2]]
        claims = record.claims
        if claims is None:
            name = record.known["schema_fqdn"]
            message = self._types.decode(name, record.body)
            claims = claims_of(domain, payloads.elements(domain, name, message))
        key = record.key
        old = self._held(domain.name, key)
        new = old
        for each in claims:
            new = self.changed(domain, new, each, record)
        return None if new is None or new == old else (domain.name, key, new)

    def changed(
        self, domain: Domain, old: State | None, claim: Claim, record: Record
    ) -> State | None:
        """Return the state after one claim."""
        rule = domain.order.rule
        if rule == "accumulate":
            return State(sum=format(Decimal(_sum(old)) + claim.amount, "f"))
        if rule == "counters" and self.counts(claim.metric):
            return State(sum=_sum(old) + claim.amount)
        if old is not None and not self.newer(old.at, claim.at):
            return old
        return State(claim.at, claim.until, record.known["message_id"])

    def counts(self, metric: str) -> bool:
        """Tell whether a metric is a counter, whose values are increments (A-66)."""
        return metric.endswith("_total")

    def newer(self, old: int, new: int) -> bool:
        """Tell whether a record of time `new` replaces one of time `old` (nanoseconds)."""
        return new > old

    def valid(self, until: int) -> bool:
        """Tell whether what holds until then (nanoseconds) still does."""
        return dt.datetime.now(dt.UTC).timestamp() * 1e9 < until

    def query(self, domain: str, key: str) -> Mapping[str, str | float] | None:
        """Return the `sum` or the `message_id` that is held, None where it has expired."""
        state = self._held(domain, key)
        if state is None or (state.until is not None and not self.valid(state.until)):
            return None
        if state.sum is not None:
            return {"sum": state.sum}
        return {"message_id": state.message_id or ""}

    def _held(self, domain: str, key: str) -> State | None:
        return self._store.state(domain, key)


def _sum(old: State | None) -> Any:
    return 0 if old is None or old.sum is None else old.sum


def decimal(value: Any) -> Decimal:
    """Return a Decimal message's value."""
    return Decimal(value.scaled).scaleb(-value.scale)


def key_scope(contract: Contract, record: Record, wanted: dict[str, str]) -> bool:
    """Tell whether every named part of the key has this value in the record's payload (RPL-03)."""
    topic = topics.parse(contract, record.topic)
    domain = contract.domains[topic.domain]
    name = record.known["schema_fqdn"]
    message = payloads.types(contract).decode(name, record.body)
    for each in payloads.elements(domain, name, message):
        for part, value in wanted.items():
            path = domain.parts.get(part, part)
            found: Any = each
            for step in path.split("."):
                found = getattr(found, step, "")
            if str(found) != value:
                return False
    return True
