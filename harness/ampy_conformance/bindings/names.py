"""What follows from the names of a record's headers alone: most records have the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Names = tuple[str, ...]

T = TypeVar("T")
# Sets of names that are remembered, and characters in one: names come from outside, and must not
# fill the memory.
MANY, LONG = 4096, 2048


def remembered(work: Callable[[Names], T]) -> Callable[[Names], T]:
    """Return `work`, which is not done again for names that it has seen; what it raises is not kept."""
    known: dict[Names, T] = {}

    def look(names: Names) -> T:
        found = known.get(names)
        if found is None:
            found = work(names)
            if len(known) < MANY and sum(map(len, names)) <= LONG:
                known[names] = found
        return found

    return look
