"""One look at latencies: the share that exceeds a limit, and what may be concluded from it.

p99 <= limit means that at most 1 % of the records exceed it. Records come in bursts, so they are
not independent: blocks of seconds tell how many independent ones they are worth.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ampy_conformance.load.intervals import clopper_pearson, clustered_upper

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECOND = 1_000_000_000
# What was never delivered, or failed: infinite, and never dropped.
LOST = 2**63 - 1
# Bursts may be longer than a second; the width that makes the sample smallest counts.
WIDTHS = (SECOND, 2 * SECOND, 4 * SECOND)
# Without any exceedance the design effect cannot be seen; then blocks of 100 ms count as one.
FINE = SECOND // 10
# The bound that rests on few bursts is wrong more often than it says, as the simulation shows.
SURER = 4
# Exceedances closer than this belong to one episode.
APART = SECOND
EPISODES = 5
# Where at least this share of all seconds holds an exceedance, nobody needs to count episodes.
PERSISTENT = 0.5


class Word(StrEnum):
    """What one look comes to."""

    PASS = "pass"  # noqa: S105 (not a password)
    FAIL = "fail"
    OPEN = "open"


@dataclass(frozen=True)
class Series:
    """One uninterrupted stretch: intended times and latencies (ns), in order of the times."""

    at: Sequence[int]
    latency: Sequence[int]


@dataclass(frozen=True)
class Look:
    """The share of records over a limit, with one-sided bounds, and how it is spread."""

    limit_ns: int
    allowed: float
    records: int
    exceeding: int
    lost: int
    effective: float
    low: float
    high: float
    episodes: int
    seconds: int
    bad_seconds: int
    everywhere: bool

    @property
    def share(self) -> float:
        """The share of the records that exceed the limit."""
        return self.exceeding / self.records if self.records else 0.0

    @property
    def spread(self) -> bool:
        """Whether the exceedances are no single event of the machine."""
        persistent = self.bad_seconds >= PERSISTENT * self.seconds
        return self.everywhere and (self.episodes >= EPISODES or persistent)

    @property
    def word(self) -> Word:
        """Pass and fail are proven, each with the look's error; everything else is open."""
        if self.high <= self.allowed:
            return Word.PASS
        if self.low > self.allowed and self.spread:
            return Word.FAIL
        return Word.OPEN

    def facts(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return {
            "limit_ms": self.limit_ns / 1e6,
            "records": self.records,
            "exceeding": self.exceeding,
            "lost": self.lost,
            "share": round(self.share, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "effective": round(self.effective, 1),
            "episodes": self.episodes,
            "word": str(self.word),
        }


def look(
    stretches: Sequence[Series],
    limit_ns: int,
    *,
    alpha: float,
    allowed: float,
    wary: bool = False,
) -> Look:
    """Look at all stretches of one side; each bound is wrong with probability `alpha`.

    `wary`: the upper bound is at least the one that rests on the bursts alone.
    """
    flags = [[each > limit_ns for each in one.latency] for one in stretches]
    records = sum(map(len, flags))
    exceeding = sum(map(sum, flags))
    size = effective_size(stretches, flags, records, exceeding)
    share = exceeding / records if records else 0.0
    low, high = clopper_pearson(share * size, size, alpha)
    if wary:
        high = max(high, burst_bound(stretches, flags, records, alpha / SURER))
    bad = [
        [at for at, over in zip(o.at, f, strict=True) if over]
        for o, f in zip(stretches, flags, strict=True)
    ]
    seconds = [blocks(one, flag, SECOND) for one, flag in zip(stretches, flags, strict=True)]
    return Look(
        limit_ns=limit_ns,
        allowed=allowed,
        records=records,
        exceeding=exceeding,
        lost=sum(each == LOST for one in stretches for each in one.latency),
        effective=size,
        low=low,
        high=high,
        episodes=sum(map(episodes, bad)),
        seconds=sum(map(len, seconds)),
        bad_seconds=sum(over > 0 for each in seconds for _, over in each),
        everywhere=bool(bad) and all(bad),
    )


def effective_size(
    stretches: Sequence[Series], flags: Sequence[Sequence[bool]], records: int, exceeding: int
) -> float:
    """Return how many independent records these are worth.

    From the variance of the share over blocks (a ratio estimate over clusters); where all are
    alike, the number of 100 ms blocks.
    """
    pairs = list(zip(stretches, flags, strict=True))
    fine = float(sum(len(blocks(*each, FINE)) for each in pairs))
    if exceeding in (0, records):
        return fine
    share = exceeding / records
    size = float(records)
    for width in WIDTHS:
        cells = [cell for each in pairs for cell in blocks(*each, width)]
        if len(cells) < 2:
            continue
        squares = sum((over - share * n) ** 2 for n, over in cells)
        variance = squares / records**2 * len(cells) / (len(cells) - 1)
        if variance > 0:
            size = min(size, share * (1 - share) / variance)
    return size


def burst_bound(
    stretches: Sequence[Series], flags: Sequence[Sequence[bool]], records: int, alpha: float
) -> float:
    """Return an upper bound of the share that rests on the bursts alone.

    The variance between blocks is hardly known where few bursts were seen: a run that happens to
    have seen small ones looks better, and surer, than it is. The one that was not seen lasts 100 ms
    or longer, as is taken for granted where none was seen.
    """
    pairs = list(zip(stretches, flags, strict=True))
    another = records / max(1, sum(len(blocks(*each, FINE)) for each in pairs))
    found = 0.0
    for width in WIDTHS:
        sizes = [over for each in pairs for _, over in blocks(*each, width) if over]
        if sizes:
            found = max(found, min(1.0, clustered_upper(sizes, alpha, another) / records))
    return found


def blocks(one: Series, flags: Sequence[bool], width: int) -> list[tuple[int, int]]:
    """Return (records, exceedances) of every block of `width` ns that holds a record."""
    if not one.at:
        return []
    start = one.at[0]
    found: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for at, over in zip(one.at, flags, strict=True):
        cell = found[(at - start) // width]
        cell[0] += 1
        cell[1] += over
    return [(n, over) for n, over in found.values()]


def episodes(times: Iterable[int]) -> int:
    """Return how many groups of exceedances are apart from one another."""
    ordered = sorted(times)
    return bool(ordered) + sum(b - a >= APART for a, b in itertools.pairwise(ordered))


def percentile(ordered: Sequence[int], share: float) -> int:
    """Return the exact percentile of sorted values: the least that `share` of them do not exceed."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    rank = -(-int(share * 1_000_000) * len(ordered) // 1_000_000)
    return ordered[min(len(ordered), max(1, rank)) - 1]


def needed_blocks(alpha: float, allowed: float) -> int:
    """Return how many independent blocks without exceedance prove a share of at most `allowed`."""
    count = 1
    while (1 - allowed) ** count > alpha:
        count += 1
    return count
