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
CREATE TABLE IF NOT EXISTS watermarks (scope TEXT, key TEXT, number INTEGER, position TEXT, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (scope TEXT, domain TEXT, key TEXT, state TEXT, PRIMARY KEY (scope, domain, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replays (scope TEXT, request TEXT, PRIMARY KEY (scope, request)) WITHOUT ROWID;
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

    def mark(
        self,
        ids: Sequence[str],
        *,
        watermark: tuple[str, str] | None = None,
        state: tuple[str, str, str] | None = None,
    ) -> None:
        """Remember durably that the ids were handled, and with them all that follows from it.

        `watermark`: key and position; `state`: domain, key and the new state.
        """
        rows = [(self._scope, each) for each in ids]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", rows)
        self._db.execute("DELETE FROM attempts WHERE scope=? AND id=?", (self._scope, ids[0]))
        if state is not None:
            self._db.execute("REPLACE INTO states VALUES (?, ?, ?, ?)", (self._scope, *state))
        if watermark is not None:
            self._advance(*watermark)
        self._db.execute("COMMIT")

    def _advance(self, key: str, position: str) -> None:
        query = (
            "INSERT INTO watermarks VALUES (?, ?, ?, ?) ON CONFLICT (scope, key) "
            "DO UPDATE SET number = excluded.number, position = excluded.position "
            "WHERE excluded.number > number"
        )
        # A key stays in one partition, so that what counts is the number behind it.
        number = int(position.rpartition(":")[2])
        self._db.execute(query, (self._scope, key, number, position))

    def watermarks(self) -> dict[str, str]:
        """Return the highest settled position of every key (RPL-05)."""
        query = "SELECT key, position FROM watermarks WHERE scope=?"
        return dict(self._db.execute(query, (self._scope,)).fetchall())

    def state(self, domain: str, key: str) -> str | None:
        """Return the state of an entity."""
        query = "SELECT state FROM states WHERE scope=? AND domain=? AND key=?"
        row = self._db.execute(query, (self._scope, domain, key)).fetchone()
        return row[0] if row else None

    def replayed(self, request: str) -> bool:
        """Tell whether a replay request was carried out to its end."""
        query = "SELECT 1 FROM replays WHERE scope=? AND request=?"
        return self._db.execute(query, (self._scope, request)).fetchone() is not None

    def mark_replayed(self, request: str) -> None:
        """Remember that a replay request was carried out."""
        self._db.execute("INSERT OR IGNORE INTO replays VALUES (?, ?)", (self._scope, request))

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

    def bury(self, identity: str, burial: str, watermark: tuple[str, str] | None) -> None:
        """Forget the attempts of a record that is a dead letter now, and advance its key.

        `burial` is remembered: where the broker hands the record out again, it makes no other.
        """
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM attempts WHERE scope=? AND id=?", (self._scope, identity))
        if watermark is not None:
            self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (self._scope, burial))
        if watermark is not None:
            self._advance(*watermark)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
