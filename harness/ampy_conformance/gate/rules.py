"""The rules of `spec/evolution.yaml`: what a change means for producers and for consumers."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract.registry import SpecError, build, read_yaml
from ampy_conformance.gate.relations import relation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ampy_conformance.gate.changes import Change

FILE = "evolution.yaml"
# From the gravest to the mildest; `unjudged` is what could not be decided here.
CLASSES = ("breaking", "unjudged", "additive", "editorial")
AUDIENCES = ("producers", "consumers")


@dataclass(frozen=True)
class Rule:
    """One rule: which changes it speaks of, and the class for each audience.

    `at` is a pattern of places (`*` one step, `**` all further ones); `when` asks for values of the
    changed entity, `before` and `after` for those of the fact; `compare` and `relation` for how
    the new value relates to the old one. `clauses` names clauses that such a change touches
    besides those that the entity itself names. Source: sections 4.6 and 23.
    """

    id: str
    at: str
    producers: str
    consumers: str
    says: str
    example: Mapping[str, Any]
    change: tuple[str, ...] = ("added", "removed", "changed")
    when: Mapping[str, Any] = field(default_factory=dict)
    before: tuple[Any, ...] = ()
    after: tuple[Any, ...] = ()
    compare: str | None = None
    relation: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    within_major: bool = True  # false: no version makes this legal, only another topic (TOP-21)

    def speaks_of(self, change: Change) -> bool:
        """Tell whether this rule is about the change."""
        return (
            change.kind in self.change
            and _places(self.at).fullmatch("\0".join(change.place)) is not None
            and all(_among(change.entity, name, values) for name, values in self.when.items())
            and (not self.before or change.before in self.before)
            and (not self.after or change.after in self.after)
            and (
                self.compare is None
                or relation(self.compare, change.before, change.after) in self.relation
            )
        )


@dataclass(frozen=True)
class Rules:
    """The rules in their order (the first that speaks of a change decides), and those of buf."""

    rules: tuple[Rule, ...]
    buf: Mapping[str, Any]  # as the part `breaking` of its configuration

    def of(self, change: Change) -> Rule:
        """Return the rule for a change; the last one speaks of all."""
        return next(each for each in self.rules if each.speaks_of(change))


def load(spec: Path) -> Rules:
    """Return the rules of a contract's folder; raises `SpecError`."""
    data = read_yaml(spec / FILE)
    try:
        rules = tuple(
            build(Rule, f"{FILE}: {each.get('id')}", _lists(each)) for each in data["rules"]
        )
        buf = dict(data["buf"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpecError(f"{FILE} does not have the form of rules: {error!r}") from error
    _check(rules)
    return Rules(rules, buf)


def _lists(data: Mapping[str, Any]) -> dict[str, Any]:
    """Let a single value stand for a list of one."""
    several = ("change", "relation", "clauses", "before", "after")
    return {
        name: [value] if name in several and not isinstance(value, list) else value
        for name, value in data.items()
    }


def _check(rules: tuple[Rule, ...]) -> None:
    ids = [each.id for each in rules]
    for each in rules:
        if ids.count(each.id) > 1:
            raise SpecError(f"{FILE}: the rule {each.id} stands twice")
        if not {each.producers, each.consumers} <= set(CLASSES):
            raise SpecError(f"{FILE}: {each.id}: a class is one of {', '.join(CLASSES)}")
    if not rules or rules[-1].at != "**":
        raise SpecError(f"{FILE}: the last rule has to speak of every change (at: '**')")


@functools.cache
def _places(pattern: str) -> re.Pattern[str]:
    """Return what matches the places of a pattern, whose steps are joined by a NUL."""
    steps = pattern.split("/")
    known = {"*": "[^\0]*", "**": ".*"}
    whole = "\0".join(known.get(each, re.escape(each)) for each in steps)
    if steps[-1] == "**":  # the place itself, too
        whole = whole.removesuffix("\0.*") + "(?:\0.*)?" if len(steps) > 1 else ".*"
    return re.compile(whole, re.DOTALL)


def _among(entity: Any, name: str, values: Any) -> bool:
    value = entity.get(name) if isinstance(entity, dict) else None
    return value in (values if isinstance(values, list) else [values])
