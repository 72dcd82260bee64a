"""Subject patterns: `*` is one token, a last `>` is one token or more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def matches(pattern: str, subject: str) -> bool:
    """Tell whether `pattern` covers the literal `subject`."""
    wanted, tokens = pattern.split("."), subject.split(".")
    for place, each in enumerate(wanted):
        if each == ">" and place == len(wanted) - 1:
            return len(tokens) > place
        if place >= len(tokens) or each not in ("*", tokens[place]):
            return False
    return len(tokens) == len(wanted)


def any_matches(patterns: Iterable[str], subject: str) -> bool:
    """Tell whether one of `patterns` covers the literal `subject`."""
    return any(matches(each, subject) for each in patterns)


def overlap(one: str, other: str) -> bool:
    """Tell whether some literal subject is covered by both patterns."""
    left, right = one.split("."), other.split(".")
    for place in range(max(len(left), len(right))):
        if place >= len(left) or place >= len(right):
            return False
        a, b = left[place], right[place]
        if ">" in (a, b):
            return True
        if "*" not in (a, b) and a != b:
            return False
    return True


def is_literal(subject: str) -> bool:
    """Tell whether a record may be published on `subject`: no empty token, no wildcard."""
    tokens = subject.split(".")
    return all(tokens) and not {"*", ">"} & set(tokens) and not any(map(str.isspace, subject))
