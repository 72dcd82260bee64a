"""Outcomes of cases and clauses, the verdict of a run, and the exit code it leads to.

Source: the table of outcomes and exit codes in `docs/verdicts.md`.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outcome(StrEnum):
    """What became of a clause or of a case."""

    PASS = "pass"  # noqa: S105 (not a password)
    WARN = "warn"
    FAIL = "fail"
    KNOWN = "known failure"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not run"
    NOT_CLAIMED = "not claimed"
    NOT_SELECTED = "not selected"
    NOT_VERIFIED = "not verified"
    ATTESTED = "attested"


class Exit(IntEnum):
    """Stable exit codes of `certify`."""

    CONFORMANT = 0
    NOT_CONFORMANT = 1
    USAGE = 2
    HARNESS = 3
    NOTHING = 4
    STALE = 5
    INCONCLUSIVE = 6


# The first outcome that any case of a clause had is the clause's outcome: proof of a
# failure outweighs all, and what could not be decided outweighs what passed or is put up with.
GRAVITY = (
    Outcome.FAIL,
    Outcome.ERROR,
    Outcome.INCONCLUSIVE,
    Outcome.NOT_RUN,
    Outcome.KNOWN,
    Outcome.WARN,
    Outcome.PASS,
    Outcome.NOT_CLAIMED,
    Outcome.NOT_SELECTED,
    Outcome.ATTESTED,
    Outcome.NOT_VERIFIED,
)

MUST = ("MUST", "MUST NOT")


def gravest(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome that stands for all of them; at least one is needed."""
    return min(outcomes, key=GRAVITY.index)


def exit_code(
    clauses: Iterable[tuple[str, Outcome]], *, ran: int, stale: int, strict: bool, broken: bool
) -> Exit:
    """Return the exit code for (level, outcome) of every clause in the run.

    `ran` counts the cases that ran, `stale` the known-failure entries that no longer hold,
    `broken` says that the run itself failed. Where several apply the first of
    1, 3, 5, 6, 4, 0 wins: an error never hides a proven failure, nothing hides behind a pass.
    """
    seen = set(clauses)
    outcomes = {outcome for _, outcome in seen}
    if Outcome.FAIL in outcomes or (strict and Outcome.WARN in outcomes):
        return Exit.NOT_CONFORMANT
    if broken or Outcome.ERROR in outcomes:
        return Exit.HARNESS
    if stale:
        return Exit.STALE
    undecided = {
        level for level, outcome in seen if outcome in (Outcome.INCONCLUSIVE, Outcome.NOT_RUN)
    }
    # An undecided SHOULD is nobody's obstacle, unless there is nothing else: then nothing passed.
    decided = outcomes & {Outcome.PASS, Outcome.WARN, Outcome.KNOWN}
    if undecided & set(MUST) or (undecided and not decided):
        return Exit.INCONCLUSIVE
    return Exit.CONFORMANT if ran else Exit.NOTHING
