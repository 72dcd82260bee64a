"""What a consumer remembers over restarts: what was handled, and what was tried."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, tries INTEGER, done INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS burials (n INTEGER PRIMARY KEY, id TEXT);
CREATE TABLE IF NOT EXISTS watermarks (key TEXT PRIMARY KEY, number INTEGER, position TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entities (domain TEXT, key TEXT, at TEXT, until TEXT, message_id TEXT, sum, PRIMARY KEY (domain, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replays (request TEXT PRIMARY KEY) WITHOUT ROWID;
"""


# States in memory; beyond, all are asked for again.
STATES = 65536
FEW = 16  # ids that are asked about by name; more cost more than to pack them


class State(NamedTuple):
    """What is held of an entity: where records add up their `sum`, else the one that holds.

    Times are nanoseconds since 1970, and may be more than SQLite's integers hold.
    """

    at: int = 0
    until: int | None = None
    message_id: str | None = None
    sum: str | float | None = None


@dataclass
class _Change:
    """What is to be written, and what was looked up, until the end of a batch."""

    seen: dict[str, None] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)  # attempts to add
    over: dict[str, None] = field(default_factory=dict)  # attempts to forget, before that
    buried: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    states: dict[tuple[str, str], State] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    tried: dict[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (
            self.seen or self.begun or self.over or self.buried or self.places or self.states
        )


class Store:
    """A SQLite file in the state directory, one a group, shared by the group's members.

    Changes of a batch (`with store:`) are written in one transaction at its end, before anybody
    is told of them; outside of one, each change is a batch of its own. In WAL mode with
    synchronous=NORMAL a commit survives the death of the process; it may not survive the loss
    of power. Questions are asked outside of the transaction: a member that is stopped while it
    thinks would keep the file from the others.
    """

    def __init__(self, folder: str, group: str) -> None:
        name = hashlib.blake2b(group.encode(), digest_size=12).hexdigest()
        self._open(str(Path(folder) / f"group-{name}.sqlite"))

    def _open(self, file: str) -> None:
        self._db = sqlite3.connect(file, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._depth = 0
        self._change = _Change()
        self._states: dict[tuple[str, str], State | None] = {}
        self._buried: set[str] = set()
        self._burials = 0  # how many of them, of all members, were read
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
        if self._depth and self._current:
            return
        self._current = True
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._states.clear()
            for number, each in self._db.execute(BURIED, (self._burials,)):
                self._burials = number
                self._buried.add(each)
        elif len(self._states) > STATES:
            self._states.clear()

    def __exit__(self, *_: object) -> None:
        """Write what has changed; the end of the outermost batch is the moment it is durable."""
        self._depth -= 1
        if not self._depth:
            change, self._change = self._change, _Change()
            if not change.empty:
                self._write(change)

    def _write(self, change: _Change) -> None:
        many = self._db.executemany
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if change.over:
                many(FORGET, [(each,) for each in change.over if each not in change.seen])
            if change.seen:
                many(SEEN, [(each,) for each in change.seen])
            if change.begun:  # after it was marked, where it was
                many(BEGIN, list(change.begun.items()))
            if change.buried:
                many(BURY, [(each,) for each in change.buried])
            if change.states:
                many(STATE, [_row(*each) for each in change.states.items()])
            if change.places:
                many(
                    PLACE,
                    [(key, number_of(place), place) for key, place in change.places.items()],
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._states.clear()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._buried.update(change.buried)

    def look(self, ids: Sequence[str]) -> None:
        """Ask about many ids at once: what `seen` and `attempts` then say of them in this batch.

        Outside of one nothing is kept: they ask for themselves.
        """
        if not self._depth:
            return
        change = self._change
        change.looked.update(ids)
        # One statement: each takes a lock of its own, which costs more than the look.
        if len(ids) <= FEW:
            rows = self._db.execute(LOOK.format(", ".join("?" * len(ids))), ids)
        else:
            rows = self._db.execute(LOOK_MANY, (json.dumps(ids),))
        for identity, attempts, done in rows:
            if done:
                change.found.add(identity)
            if attempts:
                change.tried[identity] = attempts

    # -- what was handled ---------------------------------------------------------------

    def version(self) -> int:
        """Return a number that is another one when another member has written."""
        self._refresh()
        return self._version

    def seen(self, ids: Sequence[str]) -> bool:
        """Tell whether any of the ids was handled."""
        change = self._change
        for each in ids:
            if each in change.seen or each in change.found:
                return True
            if each not in change.looked and self._db.execute(IS_SEEN, (each,)).fetchone():
                return True
        return False

    def buried(self, burial: str) -> bool:
        """Tell whether the record in a place is a dead letter already."""
        self._refresh()
        return burial in self._buried or burial in self._change.buried

    def mark(
        self,
        ids: Sequence[str],
        *,
        watermark: tuple[str, str] | None = None,
        state: tuple[str, str, State] | None = None,
    ) -> None:
        """Remember durably that the ids were handled, and with them all that follows from it.

        `watermark`: key and position; `state`: domain, key and the new state.
        """
        if not self._depth:
            with self:
                self.mark(ids, watermark=watermark, state=state)
            return
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
        return dict(self._db.execute("SELECT key, position FROM watermarks").fetchall())

    def state(self, domain: str, key: str) -> State | None:
        """Return the state of an entity."""
        self._refresh()
        if (domain, key) not in self._states:
            row = self._db.execute(HELD, (domain, key)).fetchone()
            self._states[domain, key] = _state(*row) if row else None
        return self._states[domain, key]

    def replayed(self, request: str) -> bool:
        """Tell whether a replay request was carried out to its end."""
        query = "SELECT 1 FROM replays WHERE request=?"
        return self._db.execute(query, (request,)).fetchone() is not None

    def mark_replayed(self, request: str) -> None:
        """Remember that a replay request was carried out."""
        self._db.execute("INSERT OR IGNORE INTO replays VALUES (?)", (request,))

    # -- what was tried -----------------------------------------------------------------

    def attempts(self, identity: str) -> int:
        """Return how often a handler was called for the record, over all incarnations."""
        change = self._change
        number = change.begun.get(identity, 0)
        if identity in change.over:
            return number
        if identity in change.looked:
            return number + change.tried.get(identity, 0)
        query = "SELECT tries FROM records WHERE id=?"
        row = self._db.execute(query, (identity,)).fetchone()
        return number + (int(row[0]) if row else 0)

    def begin(self, identity: str) -> int:
        """Count an attempt before it begins, and return its number.

        It may begin when the batch has been written.
        """
        if not self._depth:
            with self:
                return self.begin(identity)
        number = self.attempts(identity) + 1
        begun = self._change.begun
        begun[identity] = begun.get(identity, 0) + 1
        return number

    def bury(self, identity: str, burial: str, watermark: tuple[str, str] | None) -> None:
        """Forget the attempts of a record that is a dead letter now, and advance its key.

        `burial` is remembered: where the broker hands the record out again, it makes no other.
        """
        with self:
            self._forget(identity)
            if watermark is not None:
                self._change.buried.append(burial)
                self._advance(*watermark)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def number_of(position: str) -> int:
    """Return the number in a position, behind its partition where it has one."""
    return int(position.rpartition(":")[2])


def _row(entity: tuple[str, str], state: State) -> tuple[str | float | None, ...]:
    at, until, message_id, total = state
    return *entity, str(at), None if until is None else str(until), message_id, total


def _state(at: str, until: str | None, message_id: str | None, total: str | float | None) -> State:
    return State(int(at), None if until is None else int(until), message_id, total)


IS_SEEN = "SELECT 1 FROM records WHERE id=? AND done"
LOOK = "SELECT id, tries, done FROM records WHERE id IN ({})"
LOOK_MANY = LOOK.format("SELECT value FROM json_each(?)")
SEEN = "INSERT INTO records VALUES (?, 0, 1) ON CONFLICT (id) DO UPDATE SET tries = 0, done = 1"
FORGET = "UPDATE records SET tries = 0 WHERE id=?"
BEGIN = (
    "INSERT INTO records VALUES (?, ?, 0) "
    "ON CONFLICT (id) DO UPDATE SET tries = tries + excluded.tries"
)
BURY = "INSERT INTO burials (id) VALUES (?)"
BURIED = "SELECT n, id FROM burials WHERE n > ? ORDER BY n"
STATE = "INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?, ?, ?)"
HELD = "SELECT at, until, message_id, sum FROM entities WHERE domain=? AND key=?"
PLACE = (
    "INSERT INTO watermarks VALUES (?, ?, ?) ON CONFLICT (key) "
    "DO UPDATE SET number = excluded.number, position = excluded.position "
    "WHERE excluded.number > number"
)
