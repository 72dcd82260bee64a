"""Ratios that tell on a noisy machine whether something has become slower, and their history.

A figure is the cost of what is measured over the cost of a yardstick, both taken in turns in one
run: what slows the machine down slows both. `history.jsonl` keeps one line a figure and run; a
regression is a figure whose whole interval lies above what the history, with its own spread,
lets one expect, and does so again when it is measured anew. Only entries of machines like this one
count, where the yardstick took about as long: what waits for processes, files and pipes does not
grow with a slower processor as what calculates does, so that a ratio is another one there.
"""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HISTORY = Path(__file__).with_name("history.jsonl")
LAST = 10  # entries that count
LEAST = 0.25  # a change below a quarter is not told from noise
SPREADS = 1.5  # how far beyond the spread of the entries themselves
DRAWS = 2000
AGAIN = 2  # measurements that have to confirm a regression
ALIKE = 1.5  # a yardstick that takes so many times as long is one of another machine


@dataclass(frozen=True)
class Ratio:
    """A figure with its 95 % bootstrap interval; `yardstick` in milliseconds."""

    name: str
    ratio: float
    low: float
    high: float
    rounds: int
    yardstick: float = 0.0


FIELDS = tuple(each.name for each in fields(Ratio))


@dataclass(frozen=True)
class Verdict:
    """What the history says of a figure; `limit` None where it knows none."""

    slower: bool
    limit: float | None


def of(name: str, subject: Sequence[float], yardstick: Sequence[float]) -> Ratio:
    """Return the ratio of times taken in turns: the median of those of the rounds."""
    each = [a / b for a, b in zip(subject, yardstick, strict=True)]
    dice = random.Random(len(each))
    found = sorted(statistics.median(dice.choices(each, k=len(each))) for _ in range(DRAWS))
    low, high = found[int(DRAWS * 0.025)], found[int(DRAWS * 0.975)]
    usual = statistics.median(yardstick) * 1000
    return Ratio(name, statistics.median(each), low, high, len(each), usual)


def alike(entries: Sequence[Ratio], yardstick: float) -> list[float]:
    """Return the figures of machines on which the yardstick took about as long."""
    return [
        each.ratio
        for each in entries
        if 0 < each.yardstick <= ALIKE * yardstick and yardstick <= ALIKE * each.yardstick
    ]


def limit(entries: Sequence[float]) -> float | None:
    """Return what the next figure may reach, after these; None without any."""
    if not entries:
        return None
    last = entries[-LAST:]
    usual = statistics.median(last)
    spread = max(abs(each - usual) for each in last) / usual
    return usual * (1 + max(LEAST, SPREADS * spread))


def judge(measure: Callable[[], Ratio], entries: Sequence[Ratio]) -> tuple[Ratio, Verdict]:
    """Measure, and where that looks slower, measure again: only what is confirmed is a regression.

    Returns the best measurement: noise makes slower, never faster.
    """
    best = measure()
    allowed = limit(alike(entries, best.yardstick))
    for _ in range(AGAIN):
        if allowed is None or best.low <= allowed:
            break
        best = min(best, measure(), key=lambda each: each.low)
    return best, Verdict(allowed is not None and best.low > allowed, allowed)


def read(path: Path = HISTORY) -> dict[str, list[Ratio]]:
    """Return the figures of the past by name, the oldest first."""
    found: dict[str, list[Ratio]] = {}
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            each = Ratio(**{name: row[name] for name in FIELDS if name in row})
            found.setdefault(each.name, []).append(each)
    return found


def record(ratios: Sequence[Ratio], date: str, version: str, path: Path = HISTORY) -> None:
    """Append the figures of a run."""
    with path.open("a", encoding="utf-8") as stream:
        for each in ratios:
            numbers = {
                n: round(v, 4) if isinstance(v, float) else v for n, v in asdict(each).items()
            }
            stream.write(json.dumps({"date": date, "version": version, **numbers}) + "\n")
