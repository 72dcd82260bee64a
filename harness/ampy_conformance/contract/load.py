"""Load a contract from its folder."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ampy_conformance._layout import room
from ampy_conformance.contract import model, services
from ampy_conformance.contract.digest import tree_digest
from ampy_conformance.contract.registry import (
    Profile,
    SpecError,
    build,
    load_ambiguities,
    load_clauses,
    read_yaml,
)

if TYPE_CHECKING:
    from pathlib import Path


def load(spec: Path | None = None) -> model.Contract:
    """Return the contract of a folder (default: the packaged one), cached by path.

    Raises `SpecError`, one sentence that names the file, where it does not parse.
    """
    return _load((spec or room("spec")).resolve())


@functools.cache
def _load(root: Path) -> model.Contract:
    if not (root / "contract.yaml").is_file():
        raise SpecError(f"{root} is not the folder of a contract: it has no contract.yaml")
    head = read_yaml(root / "contract.yaml")
    try:
        profiles = {
            name: build(Profile, f"contract.yaml: profile {name}", each, name=name)
            for name, each in head["profiles"].items()
        }
        return model.Contract(
            name=head["name"],
            version=head["version"],
            digest=tree_digest(root),
            root=root,
            envs=tuple(head["envs"]),
            limits=head["limits"],
            payload_source=head["payloads"],
            profiles=profiles,
            clauses=load_clauses(root, profiles),
            ambiguities=load_ambiguities(root),
            domains=_domains(root),
            headers=tuple(
                build(model.Header, f"headers.yaml: {each.get('name')}", each)
                for each in read_yaml(root / "headers.yaml")["headers"]
            ),
            qos=read_yaml(root / "qos.yaml"),
            metrics=read_yaml(root / "metrics.yaml"),
            nats=read_yaml(root / "nats.yaml"),
            kafka=read_yaml(root / "kafka.yaml"),
            services=services.load(root),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"{root} does not have the form of a contract: {error!r}") from error


def _domains(root: Path) -> dict[str, model.Domain]:
    data = read_yaml(root / "domains.yaml")["domains"]
    return {name: _domain(name, each) for name, each in data.items()}


def _domain(name: str, data: dict[str, Any]) -> model.Domain:
    where = f"domains.yaml: {name}"
    nested = dict(data)
    nested["key"] = build(model.KeyRule, where, data["key"])
    nested["order"] = build(model.OrderRule, where, data["order"])
    nested["subtopics"] = [build(model.Subtopic, where, each) for each in data["subtopics"]]
    nested["wrappers"] = {kind: tuple(each) for kind, each in data.get("wrappers", {}).items()}
    if "dedupe" in data:
        nested["dedupe"] = build(model.DedupeRule, where, data["dedupe"])
    domain: model.Domain = build(model.Domain, where, nested, name=name)
    return domain
