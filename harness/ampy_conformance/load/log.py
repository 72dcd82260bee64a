"""What the broker's log holds of a load. The suite reads it itself: no driver's word is taken for it."""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ampy_conformance.broker.facts import BrokerError, number
from ampy_conformance.contract import encoding
from ampy_conformance.load.exceedance import SECOND
from ampy_conformance.load.schedule import DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ampy_conformance.broker import Observer, WireRecord


# Marks that are later than this are left out, so that no span between two is short.
LATE = SECOND // 2


@dataclass(frozen=True)
class Mark:
    """Where the logs ended at a moment (host's monotonic clock, ns): what lies before was stored."""

    at: int
    ends: Mapping[str, int]


class Marks:
    """Takes a mark at the beginning of a window of time, and at the end of each of its seconds.

    Of a second that a slow answer has eaten there is none: the next one is as much longer.
    """

    def __init__(self, wire: Observer, start_ns: int, seconds: int) -> None:
        self._wire, self._start, self._seconds = wire, start_ns, seconds
        self._over = threading.Event()
        self._trouble: BrokerError | None = None
        self._thread = threading.Thread(target=self._take, name="marks", daemon=True)
        self.taken: list[Mark] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._over.set()
        self._thread.join()
        if kind is None and self._trouble is not None:
            raise self._trouble

    def _take(self) -> None:
        try:
            for each in range(self._seconds + 1):
                due = self._start + each * SECOND
                if time.monotonic_ns() - due > LATE and each < self._seconds:
                    continue
                if self._over.wait(max(0.0, (due - time.monotonic_ns()) / SECOND)):
                    return
                before = time.monotonic_ns()
                ends = self._wire.ends()
                self.taken.append(Mark((before + time.monotonic_ns()) // 2, ends))
        except BrokerError as error:
            self._trouble = error


def stored(wire: Observer, pattern: str, marker: str, marks: Sequence[Mark] = ()) -> dict[int, int]:
    """Return by number which records of a load are stored, each with how many marks are older.

    So 0 is a record that was stored before the first mark, `len(marks)` one behind the last. The
    whole log is read, or BrokerError raised: what is not returned is not stored.
    """
    found: dict[int, int] = {}
    ends: dict[str, list[int]] = {}
    for each in wire.scan(pattern):
        numbered = number_in(each, marker.encode())
        if numbered is None:
            continue
        if each.stream not in ends:  # a log that was not there yet ended at its beginning
            ends[each.stream] = [mark.ends.get(each.stream, 0) for mark in marks]
        older = bisect_right(ends[each.stream], number(each.position))
        found[numbered] = min(older, found.get(numbered, older))
    return found


def number_in(record: WireRecord, marker: bytes) -> int | None:
    """Return the number behind the marker in a record's body, None where there is none."""
    body = record.payload
    if encoding.looks_gzip(body):
        try:
            body = encoding.gunzip(body)
        except encoding.EncodingFault:
            return None
    place = body.find(marker) + len(marker)
    digits = body[place : place + DIGITS]
    there = place >= len(marker) and len(digits) == DIGITS and digits.isdigit()
    return int(digits) if there else None


def rates(
    acknowledged: Iterable[int],
    found: Mapping[int, int],
    marks: Sequence[Mark],
    warm_up: int,
    *,
    all_sent: bool,
) -> list[float]:
    """Return how many acknowledged records were stored in each second behind the warm-up (seconds).

    `found`: what `stored` says of a plan's records. Records a second, by the suite's own clock.
    Who has `all_sent` before the plan's time is over has nothing more to send, and the second in
    which that happened does not count, nor those behind it; where that leaves none it is the mean.
    """
    spans = [(b.at - a.at) / SECOND for a, b in itertools.pairwise(marks)]
    counts = [0] * (len(marks) + 1)
    for each in acknowledged:
        if each in found:
            counts[found[each]] += 1
    last = max(found.values(), default=0)  # 1 is the first second
    whole = min(len(spans), last - 1) if all_sent else len(spans)
    warm = marks[0].at + warm_up * SECOND - LATE
    if shown := [counts[n + 1] / spans[n] for n in range(whole) if marks[n].at >= warm]:
        return shown
    return [sum(counts[: last + 1]) / max(1e-9, sum(spans[:last]))]
