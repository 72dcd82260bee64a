"""What a consumer remembers over restarts: what was handled, and what was tried."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (scope TEXT, id TEXT, PRIMARY KEY (scope, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (scope TEXT, id TEXT, n INTEGER, PRIMARY KEY (scope, id)) WITHOUT ROWID;
"""


class Store:
    """A SQLite file in the state directory, shared by the members of a group.

    In WAL mode with synchronous=NORMAL a commit survives the death of the process; it may
    not survive the loss of power.
    """

    def __init__(self, folder: str, group: str) -> None:
        self._scope = group
        self._db = sqlite3.connect(Path(folder) / "state.sqlite", isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def seen(self, ids: Sequence[str]) -> bool:
        """Tell whether any of the ids was handled."""
        marks = ",".join("?" * len(ids))
        query = f"SELECT 1 FROM seen WHERE scope=? AND id IN ({marks}) LIMIT 1"  # noqa: S608 (marks only)
        return self._db.execute(query, (self._scope, *ids)).fetchone() is not None

    def mark(self, ids: Sequence[str]) -> None:
        """Remember durably that the ids were handled."""
        rows = [(self._scope, each) for each in ids]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", rows)
        self._db.execute("DELETE FROM attempts WHERE scope=? AND id=?", (self._scope, ids[0]))
        self._db.execute("COMMIT")

    def attempts(self, identity: str) -> int:
        """Return how often a handler was called for the record, over all incarnations."""
        query = "SELECT n FROM attempts WHERE scope=? AND id=?"
        row = self._db.execute(query, (self._scope, identity)).fetchone()
        return int(row[0]) if row else 0

    def begin(self, identity: str) -> int:
        """Count an attempt durably before it begins, and return its number."""
        query = (
            "INSERT INTO attempts VALUES (?, ?, 1) "
            "ON CONFLICT (scope, id) DO UPDATE SET n = n + 1 RETURNING n"
        )
        return int(self._db.execute(query, (self._scope, identity)).fetchone()[0])

    def forget(self, identity: str) -> None:
        """Forget the attempts of a record that is a dead letter now."""
        self._db.execute("DELETE FROM attempts WHERE scope=? AND id=?", (self._scope, identity))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
