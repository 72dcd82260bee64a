"""What a report keeps of a case that did not pass: its last events, and what lay on the wire.

Payloads are known by size and SHA-256. Their first bytes are kept only where the user asked for it.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker import BrokerError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ampy_conformance.broker import WireRecord
    from ampy_conformance.suite.wire import WireSide

EVENTS = 80
RECORDS = 30
# What several cases share is kept once, and any of its records may be the one that a case is about.
SHARED = 100
FAULTS = 20
# Bytes of a payload, and characters of a header, that a report shows at most.
EXCERPT = 32
VALUE = 300


@dataclass(frozen=True)
class Evidence:
    """Events in order, those among them (by `seq`) in which a violation shows, and wire records."""

    events: tuple[dict[str, Any], ...] = ()
    focus: tuple[int, ...] = ()
    records: tuple[dict[str, Any], ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return the fields of a report line."""
        found: dict[str, Any] = {"transcript": list(self.events)}
        if self.focus:
            found["focus"] = list(self.focus)
        if self.records:
            found["wire"] = list(self.records)
        return found


def of_lab(lab: WireSide, *, shared: bool = False) -> Evidence:
    """Return the last events of a lab, and the last records that passed by its observer."""
    events = tuple(each.row() for each in lab.history)[-EVENTS:]
    return Evidence(events, records=records(lab, limit=SHARED if shared else RECORDS))


def around(
    rows: Sequence[dict[str, Any]],
    neighbours: Iterable[dict[str, Any]],
    focus: int,
    lab: WireSide,
) -> Evidence:
    """Return the events around a violation with the faults among them, and their wire records.

    `rows` is the whole history, event n at index n; `neighbours` are events of it.
    """
    wanted = {int(each["seq"]) for each in neighbours}
    span = range(min(wanted, default=0), max(wanted, default=0) + 1)
    faults = [seq for seq in span if rows[seq]["kind"] == "fault"]
    events = [rows[seq] for seq in sorted(wanted | set(faults[-FAULTS:]))]
    ids = {each["message_id"] for each in events if each.get("message_id")}
    return Evidence(tuple(events), (focus,), records(lab, ids))


def records(
    lab: WireSide, ids: Collection[str] | None = None, limit: int = RECORDS
) -> tuple[dict[str, Any], ...]:
    """Return what was seen on the wire last, of the records with these ids where they are given."""
    seen: list[WireRecord] = []
    with contextlib.suppress(BrokerError):  # no verdict hangs on it
        seen = lab.tapped()
    mine = [each for each in seen if ids is None or each.header("message_id") in ids]
    excerpts = lab.session.options.excerpts
    return tuple(_row(each, excerpts=excerpts) for each in mine[-limit:])


def _row(record: WireRecord, *, excerpts: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "topic": _short(record.topic),
        "position": record.position,
        "stream": record.stream,
        "headers": [[_short(name), _short(value)] for name, value in record.headers],
        "size": len(record.payload),
        "sha256": hashlib.sha256(record.payload).hexdigest(),
    }
    if record.key is not None:
        row["key"] = _short(record.key.decode("utf-8", "backslashreplace"))
    return row | ({"excerpt": record.payload[:EXCERPT].hex()} if excerpts else {})


def _short(text: str) -> str:
    return text if len(text) <= VALUE else f"{text[:VALUE]}... ({len(text)} characters)"
