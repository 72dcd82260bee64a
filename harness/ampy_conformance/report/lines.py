"""The canonical report: JSON Lines, written while the run goes on, and read back.

The first line is of kind `run`, then one `case` a test, one `load` for every load run, one `clause` for every clause of
the contract, and last `end`, which carries the SHA-256 of all bytes before it. A file
without that line, or whose digest differs, is corrupt and is never judged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from typing import IO, TYPE_CHECKING, Any

import jsonschema_rs

from ampy_conformance._errors import UsageError
from ampy_conformance._layout import room
from ampy_conformance.report import safe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA_VERSION = 1

Line = dict[str, Any]

MAIN = ("run", "start", "case", "trial", "load", "shared", "clause", "end")


class CorruptReport(UsageError):
    """The file is not a whole report."""


class Writer:
    """Appends lines; each is on disk before the next step of the run begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        self._stream: IO[bytes] = path.open("wb")
        self.closed = False

    def write(self, kind: str, **fields: Any) -> None:
        """Write one line of `kind`."""
        line = json.dumps({"kind": kind, **safe.redact(fields)}).encode() + b"\n"
        self._digest.update(line)
        self._stream.write(line)
        self._stream.flush()

    def end(self, **fields: Any) -> None:
        """Write the last line and close the file."""
        self.write("end", **fields, digest=self._digest.hexdigest())
        self._stream.close()
        self.closed = True


@dataclass(frozen=True)
class Report:
    """A whole report: its head, cases in order of running, clauses by id, and its end.

    `others` are the lines of all other kinds, also of those that this version does not know.
    """

    run: Line
    cases: tuple[Line, ...]
    clauses: dict[str, Line]
    end: Line
    trials: tuple[Line, ...] = ()
    loads: tuple[Line, ...] = ()
    shared: dict[str, Line] = field(default_factory=dict)
    others: tuple[Line, ...] = ()


def read(path: Path) -> Report:
    """Read and verify a report; raises `CorruptReport` in one sentence."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CorruptReport(f"cannot read the report {path}: {error.strerror}") from error
    return parse(raw, str(path))


def parse(raw: bytes, name: str) -> Report:
    """Verify the bytes of a report, which came from `name`; raises `CorruptReport` in one sentence."""
    rows: list[Line] = []
    digest = hashlib.sha256()
    before = digest.hexdigest()
    for number, line in enumerate(raw.splitlines(keepends=True), 1):
        before = digest.hexdigest()
        digest.update(line)
        rows.append(_row(line, name, number))
    if not rows or rows[0]["kind"] != "run":
        raise CorruptReport(f"{name} does not begin with a run line: not a report of this suite")
    if rows[0].get("schema") != SCHEMA_VERSION:
        raise CorruptReport(
            f"{name} is a report of schema {rows[0].get('schema')!r}; this version reads schema "
            f"{SCHEMA_VERSION}: install the matching version of the suite"
        )
    if rows[-1]["kind"] != "end":
        raise CorruptReport(f"{name} has no end line: the run was cut off, run it again")
    if rows[-1].get("digest") != before:
        raise CorruptReport(f"{name} was changed after it was written: its digest does not match")
    for number, row in enumerate(rows, 1):
        _check(row, name, number)
    found = Report(
        run=rows[0],
        cases=tuple(row for row in rows if row["kind"] == "case"),
        clauses={row["id"]: row for row in rows if row["kind"] == "clause"},
        end=rows[-1],
        trials=tuple(row for row in rows if row["kind"] == "trial"),
        loads=tuple(row for row in rows if row["kind"] == "load"),
        shared={row["name"]: row for row in rows if row["kind"] == "shared"},
        others=tuple(row for row in rows if row["kind"] not in MAIN),
    )
    _agrees(found, rows, name)
    return found


def _row(line: bytes, name: str, number: int) -> Line:
    try:
        row = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise CorruptReport(f"{name}: line {number} is not JSON; run the suite again") from error
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
        raise CorruptReport(f"{name}: line {number} is not a line of a report")
    return row


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


@cache
def _schemas() -> dict[str, jsonschema_rs.Validator]:
    """Return what `schemas/report.json` demands of each kind of line."""
    schema = json.loads((room("schemas") / "report.json").read_text("utf-8"))
    return {
        kind: jsonschema_rs.validator_for(
            {"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]}, validate_formats=True
        )
        for kind in (each["$ref"].rpartition("/")[2] for each in schema["oneOf"])
    }


def _check(row: Line, name: str, number: int) -> None:
    validator = _schemas().get(row["kind"])
    if validator is None:
        return
    for error in validator.iter_errors(row):
        where = ".".join(str(each) for each in error.instance_path) or "the line"
        said = " ".join(safe.text(error.message).split())[:200]
        raise CorruptReport(f"{name}: line {number} is no {row['kind']} line: {where}: {said}")


def _agrees(report: Report, rows: Sequence[Line], name: str) -> None:
    """Demand that lines which name one another are there, and each once."""
    for kind in ("case", "clause"):
        ids = [row["id"] for row in rows if row["kind"] == kind]
        if len(ids) != len(set(ids)):
            twice = next(each for each in ids if ids.count(each) > 1)
            raise CorruptReport(f"{name}: there are two lines of the {kind} {safe.text(twice)!r}")
    for row in rows:
        if row["kind"] in ("run", "end") and row is not rows[0 if row["kind"] == "run" else -1]:
            raise CorruptReport(f"{name} has a second {row['kind']} line: several files in one?")
    for case in report.cases:
        if case.get("shared") not in (None, *report.shared):
            raise CorruptReport(f"{name}: the case {safe.text(case['id'])!r} lacks its shared line")
        if case["outcome"] == "fail" and case["blames"] not in case["clauses"]:
            raise CorruptReport(
                f"{name}: the case {safe.text(case['id'])!r} fails and does not say which clause is broken"
            )
        named = {*case["clauses"], *([case["blames"]] if case["blames"] else [])}
        if missing := named - set(report.clauses):
            raise CorruptReport(
                f"{name}: the case {safe.text(case['id'])!r} names {safe.text(min(missing))!r}, "
                "which is no clause of this report"
            )
