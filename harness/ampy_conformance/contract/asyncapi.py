"""The contract as an AsyncAPI 3.0 document: every channel, message, header and binding.

Everything in it comes from `spec/`: headers as in `schemas/headers.json`, payloads as .proto text
of the descriptor set, operations from `services.yaml`. Header schemas are JSON Schema draft 7 here,
which is what AsyncAPI's own dialect extends.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from ampy_conformance._errors import UsageError
from ampy_conformance.contract import golden, protosource, schemas, services
from ampy_conformance.contract.lint import DEAD
from ampy_conformance.contract.samples import major_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ampy_conformance.contract.model import Contract, Domain
    from ampy_conformance.contract.services import Flow, Service

VERSION = "3.0.0"
PROTOBUF = "application/vnd.google.protobuf;version=3"
KAFKA_BINDING = {"bindingVersion": "0.5.0"}
NATS_BINDING = {"bindingVersion": "0.1.0"}
PLACE = re.compile(r"{(\w+)}")
FORMATS = ("yaml", "json")
# Parameters of topics that are no part of a payload.
ENV = "The environment (TOP-02)."
ORIGINAL = "The domain of the original (TOP-16)."


def build(contract: Contract, service: str | None = None) -> dict[str, Any]:
    """Return the document; with a service, only that service's operations.

    Raises `UsageError` for a service that the contract does not know.
    """
    book = contract.services.services
    if service is not None and service not in book:
        raise UsageError(f"there is no service {service!r}; there are {', '.join(book)}")
    chosen = [each for each in book.values() if service in (None, each.name)]
    channels: dict[str, Any] = {}
    for domain in contract.domains.values():
        channels.update(_channels(contract, domain))
    return {
        "asyncapi": VERSION,
        "id": f"urn:ampy-conform:asyncapi:{contract.name}"
        + (f":{_key(service)}" if service else ""),
        "info": _info(contract, service),
        "defaultContentType": _content_type(contract),
        "servers": {"nats": _server(contract.nats), "kafka": _server(contract.kafka)},
        "channels": channels,
        "operations": {
            name: made for each in chosen for name, made in _operations(contract, each, channels)
        },
        "components": {"messages": _messages(contract), "schemas": _schemas(contract)},
    }


def text(document: Mapping[str, Any], form: str) -> str:
    """Return the document as `yaml` or `json`."""
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Writes .proto texts as blocks, and no anchors: each part is read by itself."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (yaml's signature)
        return True


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _string)


def _info(contract: Contract, service: str | None) -> dict[str, Any]:
    source = contract.payload_source
    whose = f" Operations are those of {service}." if service else ""
    return {
        "title": contract.name,
        "version": contract.version,
        "description": "Topics, envelopes and bindings of the contract. Clauses (`x-clauses`) are "
        "explained by `ampy-conform explain`. Payload types are those of "
        f"{source['distribution']} {source['version']}; each is written out whole, with what "
        f"it refers to beside it in its own package.{whose}",
        "x-contract-digest": contract.digest,
    }


def _content_type(contract: Contract) -> str:
    return next(each.example for each in contract.headers if each.name == "content_type")


def _server(mapping: Mapping[str, Any]) -> dict[str, Any]:
    facts = mapping["server"]
    return {
        "host": "{host}:{port}",
        "protocol": facts["protocol"],
        "description": f"Headers: {mapping['headers']}. Groups: {mapping['group']}. "
        "Encryption, authentication and permissions: SEC-01 to SEC-04.",
        "variables": {
            "host": {"default": "localhost", "description": "Where the broker is."},
            "port": {"default": str(facts["port"])},
        },
        "x-clauses": list(mapping["clauses"]),
    }


# -- channels ---------------------------------------------------------------------------


def _channels(contract: Contract, domain: Domain) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, channel), one for each version and form of subtopic."""
    if domain.name == DEAD:
        yield from _dead_channel(contract, domain)
        return
    for form, allowed in _forms(domain).items():
        for major in sorted({major_of(domain, each) for each in allowed}):
            names = [each for each in allowed if major_of(domain, each) == major]
            clauses = [domain.subtopic_clause, domain.key.clause, domain.order.clause]
            yield (
                _name(domain.name, major, form),
                {
                    "address": f"ampy.{{env}}.{domain.name}.v{major}.{form}",
                    "title": f"{domain.name} v{major}, {form}",
                    "description": f"Order within a key: {domain.order.rule} "
                    f"({domain.order.clause}). QoS class {domain.qos}: "
                    f"{contract.qos['classes'][domain.qos]['title']}.",
                    "parameters": {"env": _env(contract), **_parameters(domain, form)},
                    "messages": {_key(each): _ref("components/messages", each) for each in names},
                    **_wiring(contract, domain, major, [each for each in clauses if each]),
                },
            )


def _dead_channel(contract: Contract, domain: Domain) -> Iterator[tuple[str, dict[str, Any]]]:
    live = [each for each in contract.domains if each != DEAD]
    yield (
        _name(domain.name, 1, "{domain}"),
        {
            "address": f"ampy.{{env}}.{domain.name}.v1.{{domain}}",
            "title": "dead letters",
            "description": "What could not be handled: original headers and payload bytes, and a "
            "reason (DLQ-05 to DLQ-07), in the env of the original (DLQ-08).",
            "parameters": {
                "env": _env(contract),
                "domain": {"description": ORIGINAL, "enum": live},
            },
            "messages": {DEAD: _ref("components/messages", DEAD)},
            **_wiring(contract, domain, 1, ["TOP-16", domain.key.clause]),
        },
    )


def _wiring(contract: Contract, domain: Domain, major: int, clauses: list[str]) -> dict[str, Any]:
    """Return where the channel lies on each broker, and its clauses."""
    fill = {"domain": domain.name, "version": f"v{major}"}
    streams = contract.nats["streams"]
    stream = streams["dead" if domain.name == streams["dead"]["domain"] else "live"]
    return {
        "bindings": {"kafka": {"topic": _filled(contract.kafka["topic"], fill), **KAFKA_BINDING}},
        "tags": [{"name": domain.name}, {"name": f"qos-{domain.qos}"}],
        "x-clauses": clauses,
        "x-nats-stream": {
            "name": stream["name"],
            "subjects": [_filled(stream["subjects"], fill)],
        },
    }


def _filled(template: str, values: Mapping[str, str]) -> str:
    return PLACE.sub(lambda each: values.get(each[1], each[0]), template)


def _forms(domain: Domain) -> dict[str, list[str]]:
    """Return the payload types that may travel on each form of subtopic."""
    found: dict[str, list[str]] = {}
    for each in domain.subtopics:
        names = found.setdefault(each.form, [])
        names += [name for name in each.payloads or domain.payloads if name not in names]
    return found


def _parameters(domain: Domain, form: str) -> dict[str, Any]:
    return {
        each: {"description": f"As in the payload: {domain.parts[each]}."}
        if not domain.parts[each].startswith("@")
        else {"description": f"The {each} itself."}
        for each in PLACE.findall(form)
    }


def _env(contract: Contract) -> dict[str, Any]:
    return {"description": ENV, "enum": list(contract.envs)}


def _name(domain: str, major: int, form: str) -> str:
    words = re.findall(r"\w+", form)
    return _key("-".join([domain, f"v{major}", *words]))


def _key(name: str) -> str:
    """Return the name as it may stand as a key of components and in references."""
    return re.sub(r"[^\w.-]", "-", name)


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}


# -- messages and schemas ---------------------------------------------------------------


def _messages(contract: Contract) -> dict[str, Any]:
    examples = _examples(contract)
    found = {}
    for domain in contract.domains.values():
        for name in domain.payloads:
            found[_key(name)] = {
                "name": name,
                "title": name.rpartition(".")[2],
                "headers": _headers(domain, name),
                "payload": {"schemaFormat": PROTOBUF, "schema": protosource.of(contract, name)},
                **_carried(contract, f"{domain.key.clause}: {domain.key.form}"),
                **_shown(examples.get(name)),
            }
    found[DEAD] = {
        "name": "dead letter",
        "title": "Dead letter",
        "summary": "Any record of another channel, as it came.",
        "headers": _ref("components/schemas", f"headers-{DEAD}"),
        "payload": {
            "type": "string",
            "format": "binary",
            "description": "DLQ-07: the original payload bytes; their type is in schema_fqdn.",
        },
        **_carried(contract, f"{contract.domains[DEAD].key.clause}: as it was"),
        **_shown(examples.get(DEAD)),
    }
    return found


def _carried(contract: Contract, key: str) -> dict[str, Any]:
    return {
        "contentType": _content_type(contract),
        "correlationId": {"location": "$message.header#/trace_id"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"The {contract.kafka['key']}. {key}."},
                **KAFKA_BINDING,
            }
        },
    }


def _examples(contract: Contract) -> dict[str, tuple[str, dict[str, str]]]:
    """Return a golden envelope's title and headers for each payload type that has one."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for each in golden.valid(contract):
        envelope = each.envelope
        dead = f".{DEAD}." in envelope.topic
        found.setdefault(
            DEAD if dead else envelope.headers["schema_fqdn"], (each.title, dict(envelope.headers))
        )
    return found


def _shown(example: tuple[str, dict[str, str]] | None) -> dict[str, Any]:
    if example is None:
        return {}
    return {"examples": [{"name": "golden", "summary": example[0], "headers": example[1]}]}


def _headers(domain: Domain, name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "allOf": [_ref("components/schemas", f"headers-{domain.name}")],
        "properties": {"schema_fqdn": {"const": name}},
    }


def _schemas(contract: Contract) -> dict[str, Any]:
    """Return the headers of every record, and what each domain narrows."""
    whole = schemas.build(contract)
    base = _older(whole["headers.json"])
    found: dict[str, Any] = {"headers": base}
    for domain in contract.domains.values():
        own = _older(whole[f"envelope/{domain.name}.json"]["properties"]["headers"])
        if domain.name == DEAD:
            # Everything is demanded of it only where the original was a valid record.
            found[f"headers-{DEAD}"] = {**own, "else": _ref("components/schemas", "headers")}
            continue
        narrowed = {
            name: each
            for name, each in own["properties"].items()
            if each != base["properties"][name]
        }
        found[f"headers-{domain.name}"] = {
            "type": "object",
            "description": f"Headers of {domain.name}.",
            "allOf": [_ref("components/schemas", "headers")],
            "properties": narrowed,
        }
    return found


def _older(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object schema in the words of draft 7."""
    own = {name: each for name, each in schema.items() if not name.startswith("$")}
    if "dependentRequired" in own:
        own["dependencies"] = own.pop("dependentRequired")
    return own


# -- operations -------------------------------------------------------------------------


def _operations(
    contract: Contract, service: Service, channels: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    group = contract.services.group.replace("{service}", service.name)
    for direction, flow in service.flows():
        for name in _channel_names(contract, flow):
            sends = direction == "publishes"
            made: dict[str, Any] = {
                "action": "send" if sends else "receive",
                "channel": _ref("channels", name),
                "title": f"{service.name} {direction} {flow.domain}",
                "summary": f"{service.name} {service.does}.",
                "messages": [
                    _ref("channels", name, "messages", each)
                    for each in channels[name]["messages"]
                    if not flow.payloads or each in map(_key, flow.payloads)
                ],
                "tags": [{"name": service.name}, {"name": service.area.replace(" ", "-")}],
                "x-sections": list(flow.section),
            }
            if flow.reason:
                made["description"] = f"{flow.origin.capitalize()}: {flow.reason}."
            if not sends:
                made["bindings"] = {
                    "nats": {"queue": group, **NATS_BINDING},
                    "kafka": {"groupId": {"type": "string", "const": group}, **KAFKA_BINDING},
                }
            yield _key(f"{service.name}-{direction}-{name}"), made


def _channel_names(contract: Contract, flow: Flow) -> Iterator[str]:
    """Yield the channels of a flow, by the names under which they stand in the document."""
    domain = contract.domains[flow.domain]
    if domain.name == DEAD:
        yield _name(DEAD, 1, "{domain}")
        return
    wanted = {each.form for each in services.forms(domain, flow)}
    for form, allowed in _forms(domain).items():
        names = [each for each in allowed if not flow.payloads or each in flow.payloads]
        if form in wanted:
            for major in sorted({major_of(domain, each) for each in names}):
                yield _name(domain.name, major, form)
