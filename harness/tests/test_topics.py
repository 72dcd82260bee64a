"""The topic grammar: what it accepts, and which token it blames."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark

from ampy_conformance import contract as contracts
from ampy_conformance.contract import topics

CONTRACT = contracts.load()
TOKEN = st.text(
    st.characters(codec="utf-8", exclude_characters=" .*>", exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=8,
)


# Made from the grammar itself; terminals are given where they look ahead.
VALID = from_lark(
    topics.grammar(CONTRACT),
    start="topic",
    explicit={
        "ENV": st.sampled_from(CONTRACT.envs),
        "DOMAIN": st.sampled_from(sorted(CONTRACT.domains)),
        "VERSION": st.integers(1, 40).map("v{}".format),
        "TOKEN": TOKEN,
    },
)


@given(VALID)
def test_every_topic_of_the_grammar_is_read_into_its_parts(text):
    topic = topics.parse(CONTRACT, text)
    assert ".".join(["ampy", topic.env, topic.domain, topic.version, *topic.subtopic]) == text
    topics.grammar(CONTRACT).parse(text)


@given(VALID, st.data())
def test_every_broken_token_is_refused(text, data):
    tokens = text.split(".")
    place = data.draw(st.integers(0, len(tokens) - 1))
    tokens[place] = data.draw(st.sampled_from(["", "*", ">", "a b", "\n"]))
    with pytest.raises(topics.TopicError):
        topics.parse(CONTRACT, ".".join(tokens))


@given(st.text(max_size=60))
def test_pattern_and_grammar_agree_on_any_text(text):
    """Two readings of one grammar: the fast one may not accept what the other refuses."""
    try:
        topics.parse(CONTRACT, text)
        fast = True
    except topics.TopicError:
        fast = False
    try:
        topics.grammar(CONTRACT).parse(text)
        slow = True
    except Exception:  # noqa: BLE001 (whatever lark raises)
        slow = False
    assert fast == slow


@pytest.mark.parametrize(
    ("text", "clause", "token"),
    [
        ("bus.prod.bars.v1.X.Y", "TOP-01", "bus"),
        ("ampy.live.bars.v1.X.Y", "TOP-02", "live"),
        ("ampy.prod.candles.v1.X", "TOP-03", "candles"),
        ("ampy.prod.bars.1.X.Y", "TOP-04", "1"),
        ("ampy.prod.bars.v0.X", "TOP-04", "v0"),
        ("ampy.prod.bars.v1", "TOP-05", ""),
        ("ampy.prod.bars.v1.X..Y", "TOP-01", ""),
        ("ampy.prod.bars.v1.>", "TOP-17", ">"),
        ("ampy.*.bars.v1.X", "TOP-17", "*"),
        ("", "TOP-01", ""),
    ],
)
def test_the_error_points_at_the_token(text, clause, token):
    with pytest.raises(topics.TopicError) as error:
        topics.parse(CONTRACT, text)
    assert (error.value.clause, error.value.token) == (clause, token)
    assert text[error.value.position :].startswith(token)


@given(VALID, st.data())
def test_patterns_match_as_translated_to_a_regular_expression(text, data):
    """Compared with another statement of the same rule (TOP-18)."""
    tokens = text.split(".")
    pattern = [data.draw(st.sampled_from([each, "*", "other"])) for each in tokens]
    if data.draw(st.booleans()):
        pattern = [*pattern[: data.draw(st.integers(0, len(pattern)))], ">"]
    words = [
        r"[^.]+" if each == "*" else r".+" if each == ">" else re.escape(each) for each in pattern
    ]
    expected = re.fullmatch(r"\.".join(words), text, re.DOTALL) is not None
    assert topics.matches(".".join(pattern), text) == expected


def test_long_topics_are_judged_and_not_remembered():
    """They come from outside, and must not fill the memory."""
    before = topics._remembered.cache_info().currsize, topics._known.cache_info().currsize
    for number in range(3):
        text = f"ampy.dev.bars.v1.{'x' * topics.LONGEST}{number}"
        assert topics.matches("ampy.dev.bars.v1.>", text)
        assert not topics.matches("ampy.dev.ticks.v1.>", text)
        assert topics.parse(CONTRACT, text).subtopic == (text.rpartition(".")[2],)
    assert before == (topics._remembered.cache_info().currsize, topics._known.cache_info().currsize)
