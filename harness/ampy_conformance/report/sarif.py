"""Findings as SARIF 2.1.0, for code scanning: where a file breaks which rule.

Pure functions over plain data. Whoever has findings makes a `Result` of each and a `Rule` of what they
are about; texts are made fit to be shown here (`report.safe`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ampy_conformance import __version__
from ampy_conformance.report import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
# How findings are graded, in SARIF's words.
LEVELS = {"fail": "error", "warn": "warning", "info": "note"}


@dataclass(frozen=True)
class Rule:
    """What a finding is judged by: an id and its sentence; `help` says what to do about it."""

    id: str
    says: str
    help: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One finding: `level` is error, warning, note or none.

    `file` is a path with slashes, `line` counts from 1; what is no file (a stream, standard input)
    is named in `stream` instead. `part` is the place within, such as a header. `key` tells findings
    of one rule in one place apart, so that the same finding of two runs is known for the same.
    """

    rule: str
    level: str
    message: str
    file: str
    line: int = 1
    key: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    stream: str = ""


def log(rules: Iterable[Rule], results: Iterable[Result], **properties: Any) -> dict[str, Any]:
    """Return the SARIF log of one run; only rules that a result names are in it, each once.

    A result whose rule is not among `rules` stands all the same, under its bare id.
    """
    known = {each.id: each for each in rules}
    found = list(results)
    used = {each.rule: known.get(each.rule, Rule(each.rule, each.rule)) for each in found}
    index = {name: number for number, name in enumerate(used)}
    driver = {
        "name": "ampy-conform",
        "semanticVersion": __version__,
        "rules": [_rule(each) for each in used.values()],
    }
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, index[each.rule]) for each in found],
    }
    if properties:
        run["properties"] = safe.clean(properties)
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    text = " ".join(safe.text(rule.says).split())
    shown: dict[str, Any] = {
        "id": rule.id,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": safe.text(rule.help) or text},
    }
    return shown | ({"properties": safe.clean(dict(rule.properties))} if rule.properties else {})


def _result(result: Result, index: int) -> dict[str, Any]:
    marks = (result.rule, result.stream or result.file, result.key or result.part)
    text = "\0".join(marks).encode("utf-8", "backslashreplace")
    shown: dict[str, Any] = {
        "ruleId": result.rule,
        "ruleIndex": index,
        "level": result.level,
        "message": {"text": safe.text(result.message)},
        "locations": [_location(result)],
        "partialFingerprints": {"ampyConform/v1": hashlib.sha256(text).hexdigest()[:32]},
    }
    properties = safe.clean(dict(result.properties))
    return shown | ({"properties": properties} if properties else {})


def _location(result: Result) -> dict[str, Any]:
    part = [{"name": safe.text(result.part), "kind": "member"}] if result.part else []
    if result.stream:
        whole = {"fullyQualifiedName": safe.text(result.stream), "kind": "resource"}
        return {"logicalLocations": [whole, *part]}
    path = safe.redact(result.file).replace("\\", "/").removeprefix("./")
    uri = quote(path, errors="backslashreplace")
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": f"file://{uri}" if uri.startswith("/") else uri},
            # A file that is one record is named by its first line, as code scanning wants.
            "region": {"startLine": max(result.line, 1)},
        }
    }
    return location | ({"logicalLocations": part} if part else {})
