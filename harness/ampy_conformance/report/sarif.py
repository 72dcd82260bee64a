"""Findings as SARIF 2.1.0, as code-scanning services read it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ampy_conformance import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LONGEST = 1000


@dataclass(frozen=True)
class Rule:
    """What a finding is judged by: an id and its sentence."""

    id: str
    says: str


@dataclass(frozen=True)
class Result:
    """One finding: `level` is error, warning, note or none.

    `file` is a relative path with slashes, `line` counts from 1; `key` tells findings of one rule
    in one file apart, so that the same finding of two runs is known for the same.
    """

    rule: str
    level: str
    message: str
    file: str
    line: int = 1
    key: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


def log(rules: Iterable[Rule], results: Iterable[Result]) -> dict[str, Any]:
    """Return the SARIF log of one run; rules that no result names are left out."""
    found = list(results)
    named = {each.rule for each in found}
    used = [each for each in rules if each.id in named]
    places = {each.id: number for number, each in enumerate(used)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ampy-conform",
                        "semanticVersion": __version__,
                        "rules": [
                            {"id": each.id, "shortDescription": {"text": _text(each.says)}}
                            for each in used
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, places) for each in found],
            }
        ],
    }


def _result(each: Result, places: Mapping[str, int]) -> dict[str, Any]:
    mark = hashlib.sha256(f"{each.rule}\0{each.file}\0{each.key}".encode()).hexdigest()[:32]
    row: dict[str, Any] = {
        "ruleId": each.rule,
        "level": each.level,
        "message": {"text": _text(each.message)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(each.file)},
                    "region": {"startLine": max(each.line, 1)},
                }
            }
        ],
        "partialFingerprints": {"ampyConform/v1": mark},
    }
    if each.level == "none":  # says nothing of how grave it is (SARIF 3.27.10)
        row["kind"] = "informational"
    if each.rule in places:
        row["ruleIndex"] = places[each.rule]
    if each.properties:
        row["properties"] = dict(each.properties)
    return row


def _text(value: str) -> str:
    """Return bounded text without control characters; SARIF's plain text has no markup."""
    text = "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
