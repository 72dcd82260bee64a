"""Which service publishes and consumes what: `spec/services.yaml`, read strictly and checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract.registry import SpecError, build, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ampy_conformance.contract.model import Contract, Domain, Subtopic

FILE = "services.yaml"
DIRECTIONS = ("publishes", "consumes")
WHO = ("all", "consumers")
ORIGINS = ("stated", "implied")


@dataclass(frozen=True)
class Flow:
    """Records of one domain, in one direction; without subtopics or payloads: all of the domain."""

    domain: str
    section: tuple[str, ...]
    subtopics: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()
    origin: str = "stated"
    reason: str | None = None
    common: bool = False  # holds for every service, not for this one in particular


@dataclass(frozen=True)
class Service:
    """A service or a role; `called` are the words of the contract's text for it."""

    name: str
    area: str
    does: str
    called: tuple[str, ...]
    section: tuple[str, ...]
    publishes: tuple[Flow, ...] = ()
    consumes: tuple[Flow, ...] = ()
    role: bool = False

    def flows(self) -> Iterator[tuple[str, Flow]]:
        """Yield (direction, flow), publishes first."""
        for direction in DIRECTIONS:
            for each in getattr(self, direction):
                yield direction, each


@dataclass(frozen=True)
class Services:
    """All services by name, their consumer group, and the domains for which nobody is named."""

    group: str
    services: Mapping[str, Service]
    nobody: Mapping[str, tuple[str, ...]]


NONE = Services("{service}", {}, {})


def load(root: Path) -> Services:
    """Return the services of a contract; a contract of before there were any has none."""
    if not (root / FILE).is_file():
        return NONE
    data = read_yaml(root / FILE)
    if not isinstance(data, dict) or set(data) != {"group", "common", "services", "nobody"}:
        raise SpecError(f"{FILE} must have exactly the fields group, common, services and nobody")
    common = [_common(each) for each in data["common"]]
    found = {name: _service(name, each, common) for name, each in data["services"].items()}
    nobody = {direction: tuple(data["nobody"].get(direction, ())) for direction in DIRECTIONS}
    return Services(data["group"], found, nobody)


def _common(data: dict[str, Any]) -> tuple[str, str, Flow]:
    rest = dict(data)
    where = f"{FILE}: common, {data.get('domain')}"
    who, does = rest.pop("who", None), rest.pop("does", None)
    if who not in WHO or does not in DIRECTIONS:
        raise SpecError(f"{where}: who is one of {', '.join(WHO)}, does of {', '.join(DIRECTIONS)}")
    return who, does, build(Flow, where, rest, common=True)


def _service(name: str, data: Any, common: list[tuple[str, str, Flow]]) -> Service:
    where = f"{FILE}: {name}"
    if not isinstance(data, dict):
        raise SpecError(f"{where}: expected a mapping")
    nested = dict(data)
    for direction in DIRECTIONS:
        nested[direction] = tuple(build(Flow, where, each) for each in data.get(direction, ()))
    own: Service = build(Service, where, nested, name=name)
    if own.role:
        return own
    shared = {
        direction: tuple(
            flow
            for who, does, flow in common
            if does == direction and (who == "all" or own.consumes)
        )
        for direction in DIRECTIONS
    }
    return replace(
        own,
        publishes=own.publishes + shared["publishes"],
        consumes=own.consumes + shared["consumes"],
    )


def forms(domain: Domain, flow: Flow) -> list[Subtopic]:
    """Return the forms of subtopic on which a flow's records may travel."""
    return [each for each in domain.subtopics if not flow.subtopics or each.form in flow.subtopics]


def problems(contract: Contract) -> Iterator[str]:
    """Yield what is wrong with the services, one sentence each."""
    book = contract.services
    if not book.services:
        yield f"{FILE} is missing or empty: no service is mapped to topics and headers (TST-04)"
        return
    for service in book.services.values():
        where = f"{FILE}: {service.name}"
        if not service.section or not service.called:
            yield f"{where} does not say where the contract names it, and by which words"
        if not any(not flow.common for _, flow in service.flows()):
            yield f"{where} neither publishes nor consumes anything"
        for direction, flow in service.flows():
            yield from _flow(contract, f"{where} {direction} {flow.domain}", flow)
    for direction in DIRECTIONS:
        yield from _nobody(contract, direction)


def _flow(contract: Contract, where: str, flow: Flow) -> Iterator[str]:
    domain = contract.domains.get(flow.domain)
    if domain is None:
        yield f"{where}, which is no domain"
        return
    known = {each.form for each in domain.subtopics}
    for each in flow.subtopics:
        if each not in known:
            yield f"{where}: {each} is none of its subtopics ({', '.join(sorted(known)) or 'none'})"
    for each in flow.payloads:
        if each not in domain.payloads:
            yield f"{where}: {each} is none of its payloads"
    if flow.origin not in ORIGINS:
        yield f"{where}: origin is {flow.origin!r}, not one of {', '.join(ORIGINS)}"
    if flow.origin == "implied" and not flow.reason:
        yield f"{where}: what is implied needs a reason"
    if not flow.section:
        yield f"{where} names no section of the contract"


def _nobody(contract: Contract, direction: str) -> Iterator[str]:
    """Yield where the list of domains without anybody and the facts differ."""
    named = {
        flow.domain
        for service in contract.services.services.values()
        for does, flow in service.flows()
        if does == direction
    }
    listed = set(contract.services.nobody.get(direction, ()))
    for each in sorted(set(contract.domains) - named - listed):
        yield f"{FILE}: no service {direction} {each}; name one, or list it under nobody"
    for each in sorted(listed & named):
        yield f"{FILE}: {each} stands under nobody, yet a service {direction} it"
    for each in sorted(listed - set(contract.domains)):
        yield f"{FILE}: {each} stands under nobody and is no domain"
