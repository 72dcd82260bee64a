"""The integration note: which service publishes and consumes what, with which headers (TST-04)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.contract import services
from ampy_conformance.contract.lint import DEAD
from ampy_conformance.contract.samples import major_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.contract.model import Contract, Domain
    from ampy_conformance.contract.services import Flow, Service

# Headers that have one value for a flow; all others are alike everywhere.
OWN = ("schema_fqdn", "partition_key", "dedupe_key", "producer", "source")


def data(contract: Contract, service: str | None = None) -> dict[str, Any]:
    """Return the note as data; with a service, its part. Raises `UsageError` for an unknown one."""
    book = contract.services.services
    if service is not None and service not in book:
        raise UsageError(f"there is no service {service!r}; there are {', '.join(book)}")
    return {
        "contract": {"name": contract.name, "version": contract.version, "digest": contract.digest},
        "services": [
            _service(contract, each) for each in book.values() if service in (None, each.name)
        ],
        "nobody": {name: list(domains) for name, domains in contract.services.nobody.items()},
    }


def _service(contract: Contract, service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "area": service.area,
        "does": service.does,
        "called": list(service.called),
        "role": service.role,
        "section": list(service.section),
        "group": contract.services.group.replace("{service}", service.name)
        if service.consumes
        else None,
        "publishes": [_flow(contract, service, each, sends=True) for each in service.publishes],
        "consumes": [_flow(contract, service, each, sends=False) for each in service.consumes],
    }


def _flow(contract: Contract, service: Service, flow: Flow, *, sends: bool) -> dict[str, Any]:
    domain = contract.domains[flow.domain]
    dead = domain.name == DEAD
    headers = {each: _value(domain, flow, each) for each in OWN}
    if sends and not dead:
        headers["producer"], headers["source"] = f"{service.name}@…", service.name
    topics = _topics(domain, flow, sends=sends)
    if sends:  # its own name stands in what it publishes
        topics = [each.replace("{service}", service.name) for each in topics]
        headers = {
            name: value and value.replace("{service}", service.name)
            for name, value in headers.items()
        }
    return {
        "domain": domain.name,
        "topics": topics,
        "payloads": list(flow.payloads or domain.payloads),
        "headers": {
            "required": [
                each.name
                for each in contract.headers
                if each.required or (dead and each.only_domain == DEAD)
            ],
            "own": {name: value for name, value in headers.items() if value},
        },
        "qos": domain.qos,
        "order": {"rule": domain.order.rule, "clause": domain.order.clause},
        "clauses": [
            each
            for each in (domain.subtopic_clause, domain.key.clause, domain.order.clause)
            if each
        ],
        "section": list(flow.section),
        "origin": flow.origin,
        "reason": flow.reason,
        "common": flow.common,
    }


def _value(domain: Domain, flow: Flow, header: str) -> str | None:
    """Return what the header holds in the flow, where the spec has a form for it."""
    if header == "schema_fqdn":
        return ", ".join(flow.payloads or domain.payloads) or "as it was"
    if header == "partition_key":
        return domain.key.form or "as it was"
    if header == "dedupe_key" and domain.dedupe is not None:
        return domain.dedupe.form
    return None


def _topics(domain: Domain, flow: Flow, *, sends: bool) -> list[str]:
    """Return the concrete topics that are published, or the patterns that are subscribed to."""
    if domain.name == DEAD:
        return [f"ampy.{{env}}.{DEAD}.v1.{{domain}}"]
    names = flow.payloads or domain.payloads
    majors = sorted({major_of(domain, each) for each in names})
    if not sends and not flow.subtopics:
        return [f"ampy.{{env}}.{domain.name}.v{major}.>" for major in majors]
    forms = dict.fromkeys(
        each.form
        for each in services.forms(domain, flow)
        if not each.payloads or set(each.payloads) & set(names)
    )
    return [f"ampy.{{env}}.{domain.name}.v{major}.{form}" for major in majors for form in forms]


# -- as a page --------------------------------------------------------------------------


def markdown(contract: Contract, service: str | None = None) -> str:
    """Return the note as a Markdown page."""
    note = data(contract, service)
    return (
        "\n".join([*_head(contract, note), *_parts(note), *_tail(contract, note)]).rstrip() + "\n"
    )


def _head(contract: Contract, note: dict[str, Any]) -> Iterator[str]:
    yield "# Integration note"
    yield ""
    yield f"Which service publishes and consumes what, in {contract.name} {contract.version}, and"
    yield "with which headers. *Implied* marks what the contract does not say in so many words."
    yield "A role is no service of its own: a person, or what stands behind several tools."
    yield ""
    if len(note["services"]) > 1:
        yield "| service | publishes | consumes | sections |"
        yield "|---|---|---|---|"
        for each in note["services"]:
            cells = [
                ", ".join(f"`{flow['domain']}`" for flow in each[direction] if not flow["common"])
                for direction in services.DIRECTIONS
            ]
            role = " (role)" if each["role"] else ""
            sections = ", ".join(each["section"])
            yield f"| [{each['name']}](#{each['name']}){role} | {cells[0]} | {cells[1]} | {sections} |"
        yield ""


def _parts(note: dict[str, Any]) -> Iterator[str]:
    for each in note["services"]:
        yield f"## {each['name']}"
        yield ""
        called = ", ".join(f"“{word}”" for word in each["called"])
        yield f"{each['area'].capitalize()}: {each['does']}. Sections {', '.join(each['section'])}: {called}."
        if each["group"]:
            yield f"Consumer group: `{each['group']}`."
        yield ""
        for direction in services.DIRECTIONS:
            if each[direction]:
                yield from _table(direction, each[direction])


def _table(direction: str, flows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"**{direction.capitalize()}**"
    yield ""
    yield "| topic | headers of its own | order, QoS | clauses | said in |"
    yield "|---|---|---|---|---|"
    for each in flows:
        topics = "<br>".join(f"`{topic}`" for topic in each["topics"])
        own = "<br>".join(
            f"`{name}`: {_code(value)}" for name, value in each["headers"]["own"].items()
        )
        said = ", ".join(each["section"])
        if each["reason"]:
            said += f"; *{each['origin']}*: {each['reason']}"
        yield (
            f"| {topics} | {own} | {each['order']['rule']}, {each['qos']} | "
            f"{', '.join(each['clauses'])} | {said} |"
        )
    yield ""


def _code(value: str) -> str:
    """Return a header's values as code; a bar would end the cell of the table."""
    return ", ".join(
        f"<code>{each.replace('|', '&#124;')}</code>" if "|" in each else f"`{each}`"
        for each in value.split(", ")
    )


def _tail(contract: Contract, note: dict[str, Any]) -> Iterator[str]:
    yield "## Headers of every record"
    yield ""
    yield "| header | required | holds | clause |"
    yield "|---|---|---|---|"
    for each in contract.headers:
        required = (
            "yes" if each.required else f"on `{each.only_domain}`" if each.only_domain else "no"
        )
        yield f"| `{each.name}` | {required} | {each.expects} | {each.clause} |"
    yield ""
    if len(note["services"]) > 1:
        yield "## Nobody is named"
        yield ""
        yield "For these domains the contract names no service:"
        yield ""
        for direction, domains in note["nobody"].items():
            yield f"- nobody {direction} {', '.join(f'`{each}`' for each in domains)}"
