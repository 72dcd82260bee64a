"""Compare the properties in SQL with their plain statements, and shrink what they differ on."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from ampy_conformance import contract as contracts
from ampy_conformance.history import properties

Row = dict[str, Any]
CONTRACT = contracts.load()
PROPERTIES = properties.load(CONTRACT)


def beside(name: str) -> Any:
    """Load a helper module of this folder: tests are imported by path, not as a package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


brute = beside("brute")


def write(path: Path, rows: list[Row]) -> Path:
    """Write rows as a file that DuckDB reads (without the first and last line)."""
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")
    return path


def by_scope(coverage: str) -> str:
    """Return a coverage query that counts for each scope instead of for all."""
    query = sqlglot.parse_one(coverage, read="duckdb")
    first = query.args["from_"].this
    scope = exp.column("scope", first.alias_or_name or None)
    if isinstance(first, exp.Subquery) and not first.alias:
        inner = first.this
        table = inner.args["from_"].this.alias_or_name
        inner.set("expressions", [exp.column("scope", table)])
        inner.set("distinct", None)
        scope = exp.column("scope")
    query.set("expressions", [scope.copy(), exp.Count(this=exp.Star())])
    query.set("group", exp.Group(expressions=[scope]))
    return query.sql(dialect="duckdb")


def judged(path: Path, histories: list[list[Row]]) -> dict[str, tuple[set[str], set[str]]]:
    """Return per property the scopes that have a chance, and those that are violated."""
    rows = [row for each in histories for row in each]
    connection = properties.open_history(CONTRACT, write(path, rows))
    found = {}
    for each in PROPERTIES:
        covered = connection.execute(by_scope(each.coverage)).fetchall()
        query = f"SELECT DISTINCT scope FROM ({each.violations})"  # noqa: S608 (our own text)
        violated = connection.execute(query).fetchall()
        found[each.name] = {row[0] for row in covered if row[1]}, {row[0] for row in violated}
    return found


def stated(histories: list[list[Row]]) -> dict[str, tuple[set[str], set[str]]]:
    """Return the same by the plain statements."""
    found: dict[str, tuple[set[str], set[str]]] = {name: (set(), set()) for name in brute.STATED}
    for rows in histories:
        history, scope = brute.History(rows), rows[0]["case"]
        for name, plain in brute.STATED.items():
            for part, answer in zip(found[name], plain(history), strict=True):
                if any(True for _ in answer):
                    part.add(scope)
    return found


def differences(path: Path, histories: list[list[Row]]) -> list[tuple[str, str, str]]:
    """Return (property, `chance` or `violation`, scope) of every difference."""
    one, other = judged(path, histories), stated(histories)
    return [
        (name, what, scope)
        for name in one
        for what, a, b in zip(("chance", "violation"), one[name], other[name], strict=True)
        for scope in sorted(a ^ b)
    ]


def shrunk(path: Path, rows: list[Row], name: str, what: str) -> list[Row]:
    """Return a small part of a history on which the two still differ in this."""

    def differ(some: list[Row]) -> bool:
        numbered = [{**each, "seq": number} for number, each in enumerate(some)]
        found = differences(path, [numbered]) if numbered else []
        return any((name, what) == each[:2] for each in found)

    size = len(rows) // 2
    while size:
        start = 0
        while start < len(rows):
            less = rows[:start] + rows[start + size :]
            if differ(less):
                rows = less
            else:
                start += size
        size //= 2
    return [{**each, "seq": number} for number, each in enumerate(rows)]
