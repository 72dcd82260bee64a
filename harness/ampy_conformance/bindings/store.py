"""What a consumer remembers over restarts: what was handled, and what was tried."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (scope TEXT, id TEXT, PRIMARY KEY (scope, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (scope TEXT, id TEXT, n INTEGER, PRIMARY KEY (scope, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watermarks (scope TEXT, key TEXT, number INTEGER, position TEXT, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (scope TEXT, domain TEXT, key TEXT, state TEXT, PRIMARY KEY (scope, domain, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replays (scope TEXT, request TEXT, PRIMARY KEY (scope, request)) WITHOUT ROWID;
"""


# States in memory; beyond, all are asked for again.
STATES = 65536
FEW = 16  # ids that are asked about by name


@dataclass
class _Change:
    """What is to be written, and what was looked up, until the end of a batch."""

    seen: dict[str, None] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)  # attempts to add
    over: dict[str, None] = field(default_factory=dict)  # attempts to forget, before that
    places: dict[str, str] = field(default_factory=dict)
    states: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    tried: dict[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.seen or self.begun or self.over or self.places or self.states)


class Store:
    """A SQLite file in the state directory, shared by the members of a group.

    Changes of a batch (`with store:`) are written in one transaction at its end, before anybody
    is told of them; outside of one, each change is a batch of its own. In WAL mode with
    synchronous=NORMAL a commit survives the death of the process; it may not survive the loss
    of power.
    """

    def __init__(self, folder: str, group: str) -> None:
        self._open(str(Path(folder) / "state.sqlite"), group)

    def _open(self, file: str, group: str) -> None:
        self._scope = group
        self._db = sqlite3.connect(file, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._depth = 0
        self._change = _Change()
        self._states: dict[tuple[str, str], Mapping[str, Any] | None] = {}
        self._version = -1  # of the file, as others have left it
        self._current = False  # whether that was asked in this batch

    # -- batches ------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Begin a batch, or go on with the one that has begun."""
        if not self._depth:
            self._current = False
        self._depth += 1
        return self

    def _refresh(self) -> None:
        """Forget the states in memory where another member has written; once a batch."""
        if self._current:
            return
        self._current = True
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version or len(self._states) > STATES:
            self._version = version
            self._states.clear()

    def __exit__(self, *_: object) -> None:
        """Write what has changed; the end of the outermost batch is the moment it is durable."""
        self._depth -= 1
        if not self._depth:
            change, self._change = self._change, _Change()
            if not change.empty:
                self._write(change)

    def _write(self, change: _Change) -> None:
        scope, many = self._scope, self._db.executemany
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if change.over:
                many(FORGET, [(scope, each) for each in change.over])
            if change.begun:
                many(BEGIN, [(scope, each, more) for each, more in change.begun.items()])
            if change.seen:
                many(SEEN, [(scope, each) for each in change.seen])
            if change.states:
                many(
                    STATE,
                    [(scope, *each, json.dumps(state)) for each, state in change.states.items()],
                )
            if change.places:
                many(
                    PLACE,
                    [(scope, key, number_of(place), place) for key, place in change.places.items()],
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._states.clear()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def look(self, ids: Sequence[str]) -> None:
        """Ask about many ids at once: what `seen` and `attempts` then say of them in this batch."""
        change = self._change
        change.looked.update(ids)
        # One statement: each takes a lock of its own, which costs more than the look.
        if len(ids) <= FEW:
            asked, question = (self._scope, *ids, *(None,) * (FEW - len(ids))), LOOK_FEW
        else:
            asked, question = (self._scope, json.dumps(ids)), LOOK_MANY
        rows = self._db.execute(question, asked * 2)
        for identity, attempts in rows:
            if attempts:
                change.tried[identity] = attempts
            else:
                change.found.add(identity)

    # -- what was handled ---------------------------------------------------------------

    def seen(self, ids: Sequence[str]) -> bool:
        """Tell whether any of the ids was handled."""
        change = self._change
        for each in ids:
            if each in change.seen or each in change.found:
                return True
            if (
                each not in change.looked
                and self._db.execute(IS_SEEN, (self._scope, each)).fetchone()
            ):
                return True
        return False

    def mark(
        self,
        ids: Sequence[str],
        *,
        watermark: tuple[str, str] | None = None,
        state: tuple[str, str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Remember durably that the ids were handled, and with them all that follows from it.

        `watermark`: key and position; `state`: domain, key and the new state.
        """
        with self:
            change = self._change
            self._forget(ids[0])
            for each in ids:
                change.seen[each] = None
            if state is not None:
                domain, key, new = state
                change.states[domain, key] = self._states[domain, key] = new
            if watermark is not None:
                self._advance(*watermark)

    def _forget(self, identity: str) -> None:
        self._change.begun.pop(identity, None)
        self._change.tried.pop(identity, None)
        self._change.over[identity] = None

    def _advance(self, key: str, position: str) -> None:
        places = self._change.places
        held = places.get(key)
        # A key stays in one partition, so that what counts is the number behind it.
        if held is None or number_of(held) < number_of(position):
            places[key] = position

    def watermarks(self) -> dict[str, str]:
        """Return the highest settled position of every key (RPL-05)."""
        query = "SELECT key, position FROM watermarks WHERE scope=?"
        return dict(self._db.execute(query, (self._scope,)).fetchall())

    def state(self, domain: str, key: str) -> Mapping[str, Any] | None:
        """Return the state of an entity."""
        with self:
            self._refresh()
            if (domain, key) not in self._states:
                query = "SELECT state FROM states WHERE scope=? AND domain=? AND key=?"
                row = self._db.execute(query, (self._scope, domain, key)).fetchone()
                self._states[domain, key] = json.loads(row[0]) if row else None
            return self._states[domain, key]

    def replayed(self, request: str) -> bool:
        """Tell whether a replay request was carried out to its end."""
        query = "SELECT 1 FROM replays WHERE scope=? AND request=?"
        return self._db.execute(query, (self._scope, request)).fetchone() is not None

    def mark_replayed(self, request: str) -> None:
        """Remember that a replay request was carried out."""
        self._db.execute("INSERT OR IGNORE INTO replays VALUES (?, ?)", (self._scope, request))

    # -- what was tried -----------------------------------------------------------------

    def attempts(self, identity: str) -> int:
        """Return how often a handler was called for the record, over all incarnations."""
        change = self._change
        number = change.begun.get(identity, 0)
        if identity in change.over:
            return number
        if identity in change.looked:
            return number + change.tried.get(identity, 0)
        query = "SELECT n FROM attempts WHERE scope=? AND id=?"
        row = self._db.execute(query, (self._scope, identity)).fetchone()
        return number + (int(row[0]) if row else 0)

    def begin(self, identity: str) -> int:
        """Count an attempt before it begins, and return its number.

        It may begin when the batch has been written.
        """
        with self:
            number = self.attempts(identity) + 1
            self._change.begun[identity] = self._change.begun.get(identity, 0) + 1
        return number

    def bury(self, identity: str, burial: str, watermark: tuple[str, str] | None) -> None:
        """Forget the attempts of a record that is a dead letter now, and advance its key.

        `burial` is remembered: where the broker hands the record out again, it makes no other.
        """
        with self:
            self._forget(identity)
            if watermark is not None:
                self._change.seen[burial] = None
                self._advance(*watermark)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def number_of(position: str) -> int:
    """Return the number in a position, behind its partition where it has one."""
    return int(position.rpartition(":")[2])


IS_SEEN = "SELECT 1 FROM seen WHERE scope=? AND id=?"
LOOK = (
    "SELECT id, 0 FROM seen WHERE scope=? AND id IN ({0}) "
    "UNION ALL SELECT id, n FROM attempts WHERE scope=? AND id IN ({0})"
)
LOOK_FEW = LOOK.format(", ".join("?" * FEW))
LOOK_MANY = LOOK.format("SELECT value FROM json_each(?)")
SEEN = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
FORGET = "DELETE FROM attempts WHERE scope=? AND id=?"
BEGIN = (
    "INSERT INTO attempts VALUES (?, ?, ?) ON CONFLICT (scope, id) DO UPDATE SET n = n + excluded.n"
)
STATE = "REPLACE INTO states VALUES (?, ?, ?, ?)"
PLACE = (
    "INSERT INTO watermarks VALUES (?, ?, ?, ?) ON CONFLICT (scope, key) "
    "DO UPDATE SET number = excluded.number, position = excluded.position "
    "WHERE excluded.number > number"
)
