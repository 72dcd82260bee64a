"""Topics: parsed by the contract's grammar, matched by its patterns.

The bulk path is a pattern made of the same data as the grammar (a grammar parse takes some
26 us, the pattern under 1 us); where it does not match, the grammar finds the token to blame.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import lark

if TYPE_CHECKING:
    from ampy_conformance.contract.model import Contract

TOKEN = r"[^\s.*>\x00-\x1f\x7f]+"  # noqa: S105 (the terminal of topic.lark)
# Longer ones are judged each time: what comes from outside must not fill the memory.
LONGEST = 256
WILDCARDS = ("*", ">")


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that keeps the grammar."""

    text: str
    env: str
    domain: str
    version: str
    subtopic: tuple[str, ...]


class TopicError(ValueError):
    """A topic that breaks `clause` at character `position`, at `token`."""

    def __init__(self, clause: str, position: int, token: str, message: str) -> None:
        super().__init__(message)
        self.clause = clause
        self.position = position
        self.token = token


def parse(contract: Contract, text: str) -> Topic:
    """Return the parts of a topic, or raise `TopicError` that points at the offending token.

    Topics come again and again; what was found of one is kept, errors are not.
    """
    return _known(contract, text) if len(text) <= LONGEST else _parse(contract, text)


def _parse(contract: Contract, text: str) -> Topic:
    found = _pattern(contract).fullmatch(text)
    if found is None:
        raise _explain(contract, text)
    env, domain, version, subtopic = found.groups()
    return Topic(text, env, domain, version, tuple(subtopic.split(".")))


_known = functools.lru_cache(maxsize=65536)(_parse)


def matches(pattern: str, topic: str) -> bool:
    """Tell whether a pattern covers a topic: `*` is one token, `>` the rest (at least one)."""
    return _remembered(pattern, topic) if len(topic) <= LONGEST else _matches(pattern, topic)


def _matches(pattern: str, topic: str) -> bool:
    wanted, tokens = pattern.split("."), topic.split(".")
    for number, each in enumerate(wanted):
        if each == ">":
            return len(tokens) > number
        if number >= len(tokens) or each not in ("*", tokens[number]):
            return False
    return len(tokens) == len(wanted)


_remembered = functools.lru_cache(maxsize=65536)(_matches)


@functools.cache
def _pattern(contract: Contract) -> re.Pattern[str]:
    envs = "|".join(re.escape(each) for each in contract.envs)
    domains = "|".join(re.escape(each) for each in contract.domains)
    return re.compile(rf"ampy\.({envs})\.({domains})\.(v[1-9][0-9]*)\.({TOKEN}(?:\.{TOKEN})*)")


@functools.cache
def grammar(contract: Contract) -> lark.Lark:
    """Return the grammar of `topic.lark`, with the contract's environments and domains."""
    text = (contract.root / "topic.lark").read_text("utf-8")
    for name, values in (("ENV", contract.envs), ("DOMAIN", tuple(contract.domains))):
        choice = "|".join(re.escape(each) for each in sorted(values, key=len, reverse=True))
        text += f"\n{name}.3: /(?:{choice})(?=\\.|$)/"
    return lark.Lark(text, start="topic", parser="lalr", lexer="contextual")


# Which clause a token breaks, by the terminal that the grammar expected in its place.
BLAME = {
    "ENV": ("TOP-02", "one of {envs}"),
    "DOMAIN": ("TOP-03", "one of {domains}"),
    "VERSION": ("TOP-04", "a version such as v1"),
    "AMPY": ("TOP-01", "ampy"),
    "DOT": ("TOP-01", "a dot"),
    "TOKEN": ("TOP-01", "a token"),
}


def _explain(contract: Contract, text: str) -> TopicError:
    tokens = text.split(".")
    position = 0
    for token in tokens:
        if token in WILDCARDS:
            says = f"a wildcard {token!r} at position {position}: records need a concrete topic"
            return TopicError("TOP-17", position, token, says)
        position += len(token) + 1
    if len(tokens) == 4 and all(tokens):
        try:
            parse(contract, f"{text}.x")
        except TopicError as error:
            return error
        return TopicError("TOP-05", len(text), "", "a subtopic is missing after the version")
    try:
        grammar(contract).parse(text)
    except lark.exceptions.UnexpectedInput as error:
        return _blame(contract, text, error)
    return TopicError("TOP-01", 0, text, "not a topic")


def _blame(contract: Contract, text: str, error: lark.exceptions.UnexpectedInput) -> TopicError:
    position = getattr(error, "pos_in_stream", None)
    position = len(text) if position is None or position < 0 else position
    names = set(getattr(error, "allowed", None) or getattr(error, "expected", None) or ())
    clause, wanted = next((BLAME[name] for name in BLAME if name in names), BLAME["TOKEN"])
    rest = text[position:]
    token = rest.partition(".")[0]
    wanted = wanted.format(envs=", ".join(contract.envs), domains=", ".join(contract.domains))
    seen = repr(token[:60]) if token else "nothing"
    if not rest and clause == "TOP-01" and text.count(".") >= 3 and not text.endswith("."):
        clause = "TOP-05"
    return TopicError(
        clause, position, token, f"expected {wanted} at position {position}, got {seen}"
    )
