"""Histories as tables: how DuckDB reads the lines, and the Parquet form of long histories.

Two relations come of a file. `lines` is what was recorded, column by column; `events` is what the
properties see. Bodies, ids and dedupe keys are there codes of 64 bits (ids in lower case), and names
that occur often are enumerated: both compare much faster than text, and no property prints the
former. The scope is part of every code, so that what has one code is of one scope: among the million
records of a part two would be alike once in thirty million times. Parquet files hold the codes beside
the text; in files of versions that wrote none they are made of it.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

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
# Codes by the name that the properties know them by: what each is made of, besides the scope. `handle`
# is a delivery of a subscription, `call` a publish. In a file they are named with `_code` behind.
CODES = {
    "body_hash": ("body_hash",),
    "message_id": ("lower(message_id)",),
    "dedupe_key": ("dedupe_key",),
    "handle": ("subscription", "delivery"),
    "call": ("uid",),
}
ENUMERATED = ("case", "actor", "topic", "key", "producer", "group", "subscription", "stream")
# Memory that DuckDB may take before it writes to disk; what Python and the file need comes on top.
MEMORY = 4 << 30
# Lines beyond this size are turned into a Parquet file before they are judged.
LARGE = 2 << 30
# Events in one row group of a Parquet file: a third smaller than with half as many.
ROW_GROUP = 250_000
# Events judged at once, whole scopes at a time: no property looks across scopes.
BATCH = 10_000_000


class OutOfOrder(Exception):
    """Events of a scope are missing, doubled or out of order."""

    def __init__(self, scope: str | None) -> None:
        super().__init__(scope)
        self.scope = scope


def duckdb() -> Any:
    """Return the module; raises `UsageError` where the extra is not installed."""
    try:
        import duckdb as module  # noqa: PLC0415 (an extra: only judging histories needs it)
    except ImportError as error:
        raise UsageError(
            "judging histories needs DuckDB: pip install 'ampy-bus-conformance[history]'"
        ) from error
    return module


@contextmanager
def engine() -> Iterator[DuckDBPyConnection]:
    """Open an empty database in memory, which spills to a folder of its own when that is short."""
    with tempfile.TemporaryDirectory(prefix="ampy-conform-spill-") as folder:
        connection = connect(folder)
        try:
            yield connection
        finally:
            connection.close()


def connect(spill: str | None = None) -> DuckDBPyConnection:
    """Open an empty database in memory; without a folder to spill to it stays there."""
    connection: DuckDBPyConnection = duckdb().connect()
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET memory_limit = '{min(MEMORY, have * 3 // 5) >> 20}MiB'")
    connection.execute("SET temp_directory = ?", [spill or ""])
    return connection


def read_lines(connection: DuckDBPyConnection, path: Path) -> None:
    """Load JSON Lines into a table, in the order of the file."""
    detail = ", ".join(f'"{name}" {kind}' for name, kind in DETAILS.items())
    chosen = [f'"{name}"' for name in COLUMNS]
    chosen += [f'detail."{name}" AS "{name}"' for name in DETAILS]
    source = _read_json(path, detail=f"STRUCT({detail})")
    connection.execute(f"CREATE TABLE lines AS SELECT {', '.join(chosen)} FROM {source}")
    connection.execute("SET preserve_insertion_order = false")


def read_parquet(connection: DuckDBPyConnection, path: Path, scopes: Sequence[str] = ()) -> None:
    """Look at a Parquet history in place, or at the scopes from the first named to the last."""
    condition = ""
    if scopes:
        condition = f'WHERE "case" BETWEEN {_text(scopes[0])} AND {_text(scopes[-1])}'
    source = f"read_parquet({_text(str(path))}, file_row_number = true)"
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"CREATE VIEW lines AS SELECT * FROM {source} {condition}")


def project(connection: DuckDBPyConnection) -> None:
    """Make `events`, what the properties see, of `lines`."""
    for name in ENUMERATED:
        connection.execute(
            f"CREATE TYPE {name}_name AS ENUM "
            f'(SELECT DISTINCT "{name}" FROM lines WHERE "{name}" IS NOT NULL ORDER BY 1)'
        )
    chosen = []
    for name in (*COLUMNS, *DETAILS):
        known_as = RENAMED.get(name, name)
        if name in ENUMERATED:
            chosen.append(f"{_cast(name)} AS {known_as}")
        elif name not in CODES:
            chosen.append(f'"{name}" AS {known_as}')
    columns = {each[0] for each in connection.execute("DESCRIBE lines").fetchall()}
    for name in CODES:
        column = f"{name}_code"
        chosen.append(f"{column if column in columns else _code(name)} AS {name}")
    connection.execute(f"CREATE VIEW events AS SELECT {', '.join(chosen)} FROM lines")
    # Here and not of `events`: names are told apart faster than they are translated.
    connection.execute(
        f"""CREATE TABLE seen AS SELECT {_cast("case")} AS scope, {_cast("group")} AS grp
            FROM (SELECT DISTINCT "case", "group" FROM lines)"""
    )


def _cast(name: str) -> str:
    return f'CAST("{name}" AS {name}_name)'


def scopes(connection: DuckDBPyConnection) -> dict[str, int]:
    """Return how many events each scope has, by name; raises `OutOfOrder` for a gap or disorder.

    A scope is in order when its events are numbered from 0 without gaps, in the order of the file.
    """
    line = "rowid" if _is_table(connection) else "file_row_number"
    found = connection.execute(
        f'''SELECT "case", count(*), min(seq), max(seq), min({line} - seq) = max({line} - seq)
            FROM lines GROUP BY "case" ORDER BY "case"'''
    ).fetchall()
    for name, count, first, last, together in found:
        if name is None or (first, last) != (0, count - 1):
            raise OutOfOrder(name)
        # Where other scopes stand between its events, each has to be compared with the one before.
        if not together:
            answer = connection.execute(
                f"""SELECT count(*) FROM (
                     SELECT seq, lag(seq) OVER (ORDER BY {line}) AS before
                     FROM lines WHERE "case" = ?) WHERE seq <= before""",
                [name],
            ).fetchone()
            if answer is None or answer[0]:
                raise OutOfOrder(name)
    return {name: count for name, count, *_ in found}


def write_parquet(lines: Path, target: Path, facts: dict[str, str]) -> None:
    """Turn JSON Lines into Parquet: every fact of the events, the typed details and the codes."""
    typed = ", ".join(f'"{name}": "{kind}"' for name, kind in DETAILS.items())
    chosen = [f'"{name}"' for name in (*COLUMNS, "incarnation", "detail")]
    chosen += [f'typed."{name}" AS "{name}"' for name in DETAILS]
    chosen += [f"{_code(name)} AS {name}_code" for name in CODES]
    source = _read_json(lines, incarnation="BIGINT", detail="JSON")
    metadata = ", ".join(f"{_text(name)}: {_text(value)}" for name, value in facts.items())
    with engine() as connection:
        connection.execute(
            f"COPY (SELECT {', '.join(chosen)} FROM ("
            f"SELECT *, json_transform(detail, {_text(f'{{{typed}}}')}) AS typed FROM {source})) "
            f"TO {_text(str(target))} "
            f"(FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}, KV_METADATA {{{metadata}}})"
        )


def metadata(path: Path) -> dict[str, str]:
    """Return the key-value metadata of a Parquet file."""
    with engine() as connection:
        rows = connection.execute(
            "SELECT key, value FROM parquet_kv_metadata(?)", [str(path)]
        ).fetchall()
    return {key.decode(): value.decode() for key, value in rows}


def _code(name: str) -> str:
    given = " AND ".join(f"{part} IS NOT NULL" for part in CODES[name])
    return f'CASE WHEN {given} THEN hash("case", {", ".join(CODES[name])}) END'


def _is_table(connection: DuckDBPyConnection) -> bool:
    query = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'lines'"
    row = connection.execute(query).fetchone()
    return bool(row and row[0])


def _read_json(path: Path, **more: str) -> str:
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in {**COLUMNS, **more}.items())
    return (
        f"read_json({_text(str(path))}, format = 'newline_delimited', columns = {{{columns}}}) "
        "WHERE kind NOT IN ('history', 'end')"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
