"""Temporal properties: one SQL file each below `spec/properties/`, run over a history in DuckDB.

The result of a property is the list of its violations; empty means that it holds. Its coverage
says how often it could have been broken: none means that nothing is known of it.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract.registry import SpecError
from ampy_conformance.history import table
from ampy_conformance.history.file import CorruptHistory, explain, is_parquet
from ampy_conformance.history.table import duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duckdb import DuckDBPyConnection

    from ampy_conformance.contract import Contract
    from ampy_conformance.history.file import History

__all__ = [
    "Property", "Result", "Violation", "around", "duckdb", "judge", "judge_history", "load",
    "open_history",
]  # fmt: skip

SEVERITIES = ("fail", "statistic")
HEADER = re.compile(r"-- (property|clauses|severity|means): (.+)")
# Examples of each property that are kept whole; all are counted.
EXAMPLES = 8
# Events that are shown of one example.
MOST_AROUND = 40
SCENE = """
CREATE OR REPLACE TEMP TABLE scene AS
SELECT "case", seq, kind, actor, uid, message_id, topic, "key", "group" AS grp, subscription, delivery,
       attempt, position, left(body_hash, 12) AS body, fault, verdict, recorded, replay
FROM lines WHERE "case" = ?
"""
AROUND = """
WITH here AS (SELECT * FROM scene WHERE seq = $seq),
bodies AS (
  SELECT s.body FROM scene AS s JOIN here AS h
    ON s.seq = h.seq OR s.uid = h.uid
    OR (s.subscription = h.subscription AND s.delivery = h.delivery)
  WHERE s.body IS NOT NULL),
calls AS (
  SELECT DISTINCT uid FROM scene
  WHERE uid IS NOT NULL AND (body IN (FROM bodies) OR seq = $seq)),
handles AS (
  SELECT DISTINCT subscription, delivery FROM scene
  WHERE delivery IS NOT NULL AND (body IN (FROM bodies) OR seq = $seq)),
own AS (
  SELECT seq, kind, actor, subscription FROM scene
  WHERE seq = $seq OR body IN (FROM bodies) OR uid IN (FROM calls)
     OR (subscription, delivery) IN (FROM handles)),
struck AS (
  SELECT min(f.seq) AS seq FROM own AS o
  JOIN scene AS f ON f.kind = 'fault' AND f.seq > o.seq
   AND (f.actor IN ('harness', 'broker') OR f.actor = o.actor OR f.subscription = o.subscription)
  WHERE o.kind NOT IN ('audit', 'dlq', 'wire')
  GROUP BY o.seq, f.actor, f.subscription),
chosen AS (
  SELECT seq, min(rank) AS rank FROM (
    SELECT seq, 0 AS rank FROM here
    UNION ALL SELECT seq, 1 FROM struck
    UNION ALL SELECT seq, 2 FROM own
    UNION ALL
    SELECT s.seq, 3 FROM scene AS s JOIN here AS h
      ON abs(s.seq - h.seq) <= $reach AND h.kind NOT IN ('audit', 'dlq', 'wire'))
  GROUP BY seq ORDER BY rank, seq LIMIT $most)
SELECT s.* EXCLUDE ("case") FROM scene AS s JOIN chosen USING (seq) ORDER BY seq
"""


@dataclass(frozen=True)
class Property:
    """One property: its clauses, what a violation means, and its two queries."""

    name: str
    clauses: tuple[str, ...]
    severity: str
    means: str
    coverage: str
    violations: str


@dataclass(frozen=True)
class Violation:
    """One violation: the case, the event at which it shows, what happened, and what around it."""

    scope: str
    seq: int
    says: str
    events: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Result:
    """What one property says of a history: `covered` chances, `total` violations, examples."""

    rule: Property
    covered: int
    total: int
    examples: tuple[Violation, ...]

    @property
    def verdict(self) -> str:
        """violated, holds, or not covered."""
        if self.total:
            return "violated" if self.rule.severity == "fail" else "counted"
        return "holds" if self.covered else "not covered"


def load(contract: Contract) -> list[Property]:
    """Return the properties of a contract; raises `SpecError` for a file without its header."""
    folder = contract.root / "properties"
    found = [_parse(path) for path in sorted(folder.glob("*.sql")) if path.stem != "views"]
    for each in found:
        for clause in each.clauses:
            if clause not in contract.clauses:
                raise SpecError(f"properties/{each.name}.sql names {clause}, which is no clause")
    return found


def open_history(contract: Contract, path: Path) -> DuckDBPyConnection:
    """Load events into DuckDB as a whole, with the projections that the properties share.

    `path` is a file of either format; whether it is a whole history is not looked at.
    """
    connection = table.connect()
    if is_parquet(path):
        table.read_parquet(connection, path)
    else:
        table.read_lines(connection, path)
    _project(contract, connection)
    return connection


def judge(
    connection: DuckDBPyConnection,
    wanted: Iterable[Property],
    told: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Run properties over loaded events; `told` hears the name of each."""
    found = []
    for each in wanted:
        told(each.name)
        covered = _run(connection, each.name, each.coverage).fetchone()[0]
        # The text is the contract's own; nothing of the history stands in it.
        query = f"""
            SELECT scope, seq, says, count(*) OVER () FROM ({each.violations}) ORDER BY ALL
            LIMIT {EXAMPLES}
        """  # noqa: S608
        rows = _run(connection, each.name, query).fetchall()
        examples = tuple(Violation(*row[:3]) for row in rows)
        found.append(Result(each, covered, rows[0][3] if rows else 0, examples))
    return found


def judge_history(
    contract: Contract,
    history: History,
    wanted: Sequence[Property],
    told: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Judge a verified history in bounded memory; examples come with the events around them.

    Long ones are judged a few scopes at a time (no property looks across scopes), straight from
    the Parquet file, or from one that is made of the lines for the purpose. `told` hears what is
    going on. Raises `CorruptHistory` where the events are not numbered as they should be.
    """
    with tempfile.TemporaryDirectory(prefix="ampy-conform-check-") as scratch:
        path = history.path
        if not is_parquet(path) and path.stat().st_size > table.LARGE:
            told("turning the lines into a table")
            path = Path(scratch) / "history.parquet"
            _readable(history, lambda: table.write_parquet(history.path, path, {}))
        if not is_parquet(path):
            told("reading")
            with table.engine() as connection:
                _readable(history, lambda: table.read_lines(connection, path))
                counts = _counted(history, connection)
                _project(contract, connection)
                return _explained(connection, judge(connection, wanted, told))
        with table.engine() as connection:
            table.read_parquet(connection, path)
            counts = _counted(history, connection)
        parts: list[list[Result]] = []
        batches = _batches(counts)
        for number, names in enumerate(batches, 1):
            where = f" (part {number} of {len(batches)})" if len(batches) > 1 else ""
            told(f"reading{where}")
            with table.engine() as connection:
                table.read_parquet(connection, path, names if len(batches) > 1 else ())
                _project(contract, connection)
                results = judge(connection, wanted, partial(_at, told, where))
                parts.append(_explained(connection, _first(results, parts)))
        return [_together(each) for each in zip(*parts, strict=True)]


def _at(told: Callable[[str], None], where: str, name: str) -> None:
    told(name + where)


def _project(contract: Contract, connection: DuckDBPyConnection) -> None:
    table.project(connection)
    _run(connection, "views", (contract.root / "properties" / "views.sql").read_text("utf-8"))


def _readable(history: History, read: Callable[[], None]) -> None:
    try:
        read()
    except table.duckdb().Error as error:
        explain(history.path)
        first = str(error).strip().splitlines()[0]
        raise CorruptHistory(f"{history.path} cannot be read as events: {first}") from error


def _counted(history: History, connection: DuckDBPyConnection) -> dict[str, int]:
    try:
        counts = table.scopes(connection)
    except table.OutOfOrder as error:
        explain(history.path)
        raise CorruptHistory(
            f"{history.path}: events of {error.scope!r} are missing, doubled or out of order"
        ) from error
    if sum(counts.values()) != history.events:
        explain(history.path)
        raise CorruptHistory(
            f"{history.path} holds {sum(counts.values())} events and says {history.events}"
        )
    return counts


def _batches(counts: dict[str, int]) -> list[list[str]]:
    """Put scopes together, in the order of their names, to batches that memory holds."""
    found: list[list[str]] = [[]]
    held = 0
    for name, count in counts.items():
        if found[-1] and held + count > table.BATCH:
            found.append([])
            held = 0
        found[-1].append(name)
        held += count
    return found


def _first(results: Sequence[Result], parts: Sequence[Sequence[Result]]) -> list[Result]:
    """Keep as many examples as parts that were judged before leave room for."""
    return [
        replace(
            each,
            examples=each.examples[: max(0, EXAMPLES - sum(len(p[n].examples) for p in parts))],
        )
        for n, each in enumerate(results)
    ]


def _explained(connection: DuckDBPyConnection, results: Iterable[Result]) -> list[Result]:
    return [
        replace(
            result,
            examples=tuple(
                replace(each, events=tuple(around(connection, each))) for each in result.examples
            ),
        )
        for result in results
    ]


def _together(parts: Sequence[Result]) -> Result:
    return Result(
        parts[0].rule,
        sum(each.covered for each in parts),
        sum(each.total for each in parts),
        tuple(each for part in parts for each in part.examples),
    )


def around(
    connection: DuckDBPyConnection, violation: Violation, reach: int = 4
) -> list[dict[str, Any]]:
    """Return what belongs to a violation, in the order in which it happened.

    All events of its record, the faults that struck next whoever had to do with it, and as far as
    there is room the neighbours of the event at which it shows; for what was read at the end of the
    run (the log, the dead letters) those would say nothing.
    """
    if _scene_of(connection) != violation.scope:
        connection.execute(SCENE, [violation.scope])
    answer = connection.execute(
        AROUND, {"seq": violation.seq, "reach": reach, "most": MOST_AROUND}
    )  # fmt: skip
    names = [each[0] for each in answer.description or ()]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in answer.fetchall()
    ]


def _scene_of(connection: DuckDBPyConnection) -> str | None:
    """Return the scope whose events are laid out for `around`."""
    known = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE table_name = 'scene'"
    ).fetchone()
    row = connection.execute('SELECT "case" FROM scene LIMIT 1').fetchone() if known else None
    return row[0] if row else None


def _run(connection: DuckDBPyConnection, name: str, query: str) -> Any:
    try:
        return connection.execute(query)
    except table.duckdb().Error as error:
        first = str(error).strip().splitlines()[0]
        raise SpecError(f"properties/{name}.sql does not run: {first}") from error


def _parse(path: Path) -> Property:
    text = path.read_text("utf-8")
    head, _, rest = text.partition("\n-- coverage\n")
    coverage, _, violations = rest.partition("\n-- violations\n")
    facts = dict(HEADER.findall(head))
    if set(facts) != {"property", "clauses", "severity", "means"} or not violations.strip():
        raise SpecError(
            f"properties/{path.name} needs the lines property, clauses, severity and means, and "
            "the parts `-- coverage` and `-- violations`"
        )
    if facts["property"] != path.stem or facts["severity"] not in SEVERITIES:
        raise SpecError(
            f"properties/{path.name}: property is the file's name, severity one of "
            f"{', '.join(SEVERITIES)}"
        )
    clauses = tuple(each.strip() for each in facts["clauses"].split(","))
    return Property(
        path.stem, clauses, facts["severity"], facts["means"], coverage.strip(), violations.strip()
    )
