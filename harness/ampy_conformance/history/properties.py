"""Temporal properties: one SQL file each below `spec/properties/`, run over a history in DuckDB.

The result of a property is the list of its violations; empty means that it holds. Its coverage
says how often it could have been broken: none means that nothing is known of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.contract.registry import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from ampy_conformance.contract import Contract

SEVERITIES = ("fail", "statistic")
HEADER = re.compile(r"-- (property|clauses|severity|means): (.+)")
# Examples of each property that are kept whole; all are counted.
EXAMPLES = 8
# Columns of the events table: how they are read from the lines, and under which name.
COLUMNS = {
    "case": "VARCHAR", "seq": "BIGINT", "t_ns": "BIGINT", "kind": "VARCHAR", "actor": "VARCHAR",
    "uid": "VARCHAR", "message_id": "VARCHAR", "dedupe_key": "VARCHAR", "topic": "VARCHAR",
    "key": "VARCHAR", "producer": "VARCHAR", "pseq": "BIGINT", "group": "VARCHAR",
    "subscription": "VARCHAR", "delivery": "VARCHAR", "attempt": "BIGINT", "position": "VARCHAR",
    "body_hash": "VARCHAR",
}  # fmt: skip
# Facts that only some kinds of events have; they stand in `detail`.
DETAILS = {
    "recorded": "BOOLEAN", "audited": "BOOLEAN", "verdict": "VARCHAR", "stream": "VARCHAR",
    "start": "VARCHAR", "max_attempts": "BIGINT", "credit": "BIGINT", "backoff_base_ms": "BIGINT",
    "fault": "VARCHAR", "drained": "BOOLEAN", "corrupt": "BOOLEAN", "replay": "VARCHAR",
    "missing_headers": "BIGINT", "produced_ns": "BIGINT", "at_ns": "BIGINT", "request": "VARCHAR",
    "domain": "VARCHAR", "from_ns": "BIGINT", "until_ns": "BIGINT", "narrow": "BOOLEAN",
    "started_ns": "BIGINT",
}  # fmt: skip
RENAMED = {"case": "scope", "group": "grp", "start": "started"}
LOAD = """
CREATE TABLE events AS SELECT {chosen}
FROM read_json(?, format = 'newline_delimited', columns = {columns})
WHERE kind NOT IN ('history', 'end')
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
    """One violation: the case, the event at which it shows, and what happened."""

    scope: str
    seq: int
    says: str


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


def duckdb() -> Any:
    """Return the module; raises `UsageError` where the extra is not installed."""
    try:
        import duckdb as module  # noqa: PLC0415 (an extra: only judging histories needs it)
    except ImportError as error:
        raise UsageError(
            "judging histories needs DuckDB: pip install 'ampy-bus-conformance[history]'"
        ) from error
    return module


def open_history(contract: Contract, path: Path) -> DuckDBPyConnection:
    """Load a history into DuckDB, with the projections that the properties share."""
    connection: DuckDBPyConnection = duckdb().connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(_load(), [str(path)])
    _run(connection, "views", (contract.root / "properties" / "views.sql").read_text("utf-8"))
    return connection


def _load() -> str:
    detail = ", ".join(f'"{name}" {kind}' for name, kind in DETAILS.items())
    kinds = {**COLUMNS, "detail": f"STRUCT({detail})"}
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in kinds.items())
    chosen = [f'"{name}" AS {RENAMED.get(name, name)}' for name in COLUMNS]
    chosen += [f'detail."{name}" AS {RENAMED.get(name, name)}' for name in DETAILS]
    return LOAD.format(chosen=", ".join(chosen), columns=f"{{{columns}}}")


def judge(connection: DuckDBPyConnection, wanted: Iterable[Property]) -> list[Result]:
    """Run properties over a loaded history."""
    found = []
    for each in wanted:
        covered = _run(connection, each.name, each.coverage).fetchone()[0]
        # The text is the contract's own; nothing of the history stands in it.
        query = f"SELECT scope, seq, says FROM ({each.violations}) ORDER BY ALL"  # noqa: S608
        rows = _run(connection, each.name, query).fetchall()
        examples = tuple(Violation(*row) for row in rows[:EXAMPLES])
        found.append(Result(each, covered, len(rows), examples))
    return found


def around(
    connection: DuckDBPyConnection, violation: Violation, reach: int = 4
) -> list[dict[str, Any]]:
    """Return the events around a violation: all of its record, and its neighbours."""
    query = """
        WITH here AS (SELECT body_hash FROM events WHERE scope = $scope AND seq = $seq)
        SELECT seq, kind, actor, uid, message_id, topic, "key", grp, subscription, delivery, attempt,
               position, left(body_hash, 12) AS body
        FROM events
        WHERE scope = $scope AND (abs(seq - $seq) <= $reach OR body_hash IN (SELECT * FROM here))
        ORDER BY seq LIMIT 40
    """
    answer = connection.execute(
        query, {"scope": violation.scope, "seq": violation.seq, "reach": reach}
    )
    names = [each[0] for each in answer.description or ()]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in answer.fetchall()
    ]


def _run(connection: DuckDBPyConnection, name: str, query: str) -> Any:
    try:
        return connection.execute(query)
    except duckdb().Error as error:
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
