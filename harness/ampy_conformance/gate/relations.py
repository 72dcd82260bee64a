"""How a new value relates to the old one, in the terms that rules use."""

from __future__ import annotations

import collections
import functools
import re
from typing import TYPE_CHECKING, Any

from greenery import parse

if TYPE_CHECKING:
    from greenery.charclass import Charclass
    from greenery.fsm import Fsm

# What a clause demands hangs on these: numbers, literals, and the words that turn a sentence.
NORMATIVE = re.compile(
    r"`[^`]*`|\d+(?:[.,]\d+)*|\b(?:must|should|may|not|no|never|none|only|exactly|at least|at most"
    r"|always|every|each|all|any|before|after|until|unless|except|if|or|and|is|are)\b",
    re.IGNORECASE,
)
LOOK = re.compile(r"(?<!\\)\(\?!")
LEVELS = {"MUST": 3, "MUST NOT": 3, "SHOULD": 2, "MAY": 1, "UNSPECIFIED": 0}


def relation(kind: str, old: Any, new: Any) -> str:
    """Return the relation of `new` to `old`.

    pattern, terminal (of a grammar): same, narrower, wider or other (also where it cannot be
    proven); number: up, down or other; level: stricter, weaker or other; wording: same (but for layout), reworded (no number,
    literal or turning word changed) or restated.
    """
    return _RELATIONS[kind](old, new)


def _number(old: Any, new: Any) -> str:
    numbers = all(isinstance(each, int | float) for each in (old, new))
    return ("up" if new > old else "down") if numbers else "other"


def _level(old: Any, new: Any) -> str:
    before, after = LEVELS.get(old, -1), LEVELS.get(new, -1)
    if before == after or -1 in (before, after):
        return "other"
    return "stricter" if after > before else "weaker"


def _wording(old: Any, new: Any) -> str:
    before, after = (" ".join(re.findall(r"\w+|[^\w\s.,;:]", str(e).lower())) for e in (old, new))
    literals = [re.findall(r"`[^`]*`", str(each)) for each in (old, new)]
    if literals[0] != literals[1]:
        return "restated"  # every character of a literal counts, its case and its stops as well
    if before == after:
        return "same"
    turns = ([each.lower() for each in NORMATIVE.findall(str(e))] for e in (old, new))
    return "reworded" if next(turns) == next(turns) else "restated"


# -- patterns -----------------------------------------------------------------------------


def _pattern(old: Any, new: Any) -> str:
    before, after = _terminal(old), _terminal(new)
    if before is None or after is None:
        return "other"
    wider, narrower = not (after - before).empty(), not (before - after).empty()
    if wider and narrower:
        return "other"
    return "wider" if wider else "narrower" if narrower else "same"


def witness(old: Any, new: Any) -> str | None:
    """Return a text that the pattern `old` takes and `new` does not; None where none is known."""
    before, after = _terminal(old), _terminal(new)
    if before is None or after is None:
        return None
    return _shortest(before - after)


def _shortest(machine: Fsm) -> str | None:
    """Return one of the shortest texts of a machine, of characters that headers can carry.

    Goes over states, not over texts: of those there are too many.
    """
    reached = {machine.initial: ""}
    queue = collections.deque([machine.initial])
    while queue:
        state = queue.popleft()
        text = reached[state]
        if state in machine.finals and text == text.strip():
            return text
        for letters, following in machine.map[state].items():
            letter = _printable(letters)
            if letter is not None and following not in reached and machine.islive(following):
                reached[following] = text + letter
                queue.append(following)
    return None


def _printable(letters: Charclass) -> str | None:
    """Return a printable ASCII character of a class; None where it has none."""
    every = (chr(each) for each in (*range(0x61, 0x7F), *range(0x20, 0x61)))
    return next((each for each in every if letters.accepts(each)), None)


def _grammar(old: Any, new: Any) -> str:
    """Relate two terminals of a grammar; its rules are structure, of which nothing is proven."""
    slashed = all(str(e).startswith("/") and str(e).endswith("/") for e in (old, new))
    return _pattern(old, new) if slashed else "other"


def _terminal(value: Any) -> Fsm | None:
    """Return the machine of a pattern, or of a grammar's `/pattern/`; None where there is none."""
    text = str(value)
    if text.startswith("/") and text.endswith("/"):
        text = text[1:-1]
    try:
        re.compile(text)
        return _machine(text)
    except Exception:  # noqa: BLE001 (what the parser cannot read is an unknown relation)
        return None


@functools.cache
def _machine(pattern: str) -> Fsm:
    """Return the pattern's automaton; `(?!...)` is what follows, less what it forbids."""
    look = LOOK.search(pattern)
    if look is None:
        return parse(pattern.replace("-]", r"\-]")).to_fsm()
    before, after = pattern[: look.start()], pattern[look.end() :]
    if any(each in before for each in "|("):
        raise ValueError("a lookahead within a group")
    depth, end = 1, 0
    while depth:
        depth += {"(": 1, ")": -1}.get(after[end], 0)
        end += 1
    forbidden = parse(f"({after[: end - 1]})(.|\\n|\\r)*").to_fsm()
    rest = _machine(after[end:]) - forbidden
    return _machine(before) + rest if before else rest


_RELATIONS = {
    "pattern": _pattern,
    "terminal": _grammar,
    "number": _number,
    "level": _level,
    "wording": _wording,
}
