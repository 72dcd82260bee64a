"""Findings as SARIF 2.1.0, for code scanning: where a file breaks which rule.

Pure functions over plain data. Whoever has findings makes a `Result` of each and a `Rule` of what they
are about; texts are made fit to be shown here (`report.safe`).
"""

from __future__ import annotations

import hashlib
import re
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
# How this project grades, in SARIF's words.
LEVELS = {
    "fail": "error",
    "breaking": "error",
    "warn": "warning",
    "additive": "note",
    "info": "note",
}
LINE = re.compile(r"^(?P<file>.+):(?P<line>[1-9]\d*)$")


@dataclass(frozen=True)
class Rule:
    """What a finding is about: a clause, or a rule of the contract gate; `help` says what to do."""

    id: str
    text: str
    help: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One finding: of which rule, how grave (`LEVELS`, or SARIF's own word), and where.

    `where` is a file, `file:line`, or the name of something that is no file (a stream, standard
    input): then `is_file` is False. `part` is the place within, such as a header's name.
    """

    rule: str
    grade: str
    message: str
    where: str
    part: str = ""
    is_file: bool = True
    properties: Mapping[str, Any] = field(default_factory=dict)


def log(rules: Iterable[Rule], results: Iterable[Result], **properties: Any) -> dict[str, Any]:
    """Return a SARIF log of one run; only rules that a result names are in it, each once.

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


def file_of(where: str) -> str:
    """Return the file of a place such as `captures/a.jsonl:17`."""
    found = LINE.match(where)
    return found["file"] if found else where


def _rule(rule: Rule) -> dict[str, Any]:
    text = " ".join(safe.text(rule.text).split())
    shown: dict[str, Any] = {
        "id": rule.id,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": safe.text(rule.help) or text},
    }
    return shown | ({"properties": safe.clean(dict(rule.properties))} if rule.properties else {})


def _result(result: Result, index: int) -> dict[str, Any]:
    message = safe.text(result.message)
    shown: dict[str, Any] = {
        "ruleId": result.rule,
        "ruleIndex": index,
        "level": LEVELS.get(result.grade, result.grade),
        "message": {"text": message},
        "locations": [_location(result)],
        # The same finding in another run has the same print, wherever its line has gone.
        "partialFingerprints": {
            "finding/v1": hashlib.sha256(
                "\0".join((result.rule, _place(result)[0], result.part, message)).encode(
                    "utf-8", "backslashreplace"
                )
            ).hexdigest()
        },
    }
    properties = safe.clean(dict(result.properties))
    return shown | ({"properties": properties} if properties else {})


def _place(result: Result) -> tuple[str, int | None]:
    found = LINE.match(result.where) if result.is_file else None
    return (found["file"], int(found["line"])) if found else (result.where, None)


def _location(result: Result) -> dict[str, Any]:
    name, line = _place(result)
    part = [{"name": safe.text(result.part), "kind": "member"}] if result.part else []
    if not result.is_file:
        whole = {"fullyQualifiedName": safe.text(name), "kind": "resource"}
        return {"logicalLocations": [whole, *part]}
    path = quote(
        str(safe.redact(name)).replace("\\", "/").removeprefix("./"), errors="backslashreplace"
    )
    uri = f"file://{path}" if path.startswith("/") else path
    # A file that is one record is named as a whole: by its first line, as code scanning wants.
    region = {"startLine": line or 1}
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}
    }
    return location | ({"logicalLocations": part} if part else {})
