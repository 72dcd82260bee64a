"""What is remembered of header names is bounded: they come from outside."""

from __future__ import annotations

import pytest

from ampy_conformance.bindings.builder import EnvelopeBuilder, Identity, Invalid
from ampy_conformance.bindings.names import LONG, MANY, remembered
from ampy_conformance.bindings.records import fold
from ampy_conformance.contract import load


def test_work_is_done_once_for_names_that_come_again_and_are_not_long():
    done = []
    look = remembered(lambda names: done.append(names) or len(names))
    for _ in range(3):
        assert look(("a", "b")) == 2
        assert look(("x" * LONG, "y")) == 2
    assert done == [("a", "b"), *[("x" * LONG, "y")] * 3]


def test_only_so_many_are_kept():
    done = []
    look = remembered(lambda names: done.append(names) or 1)
    for _ in range(2):
        for number in range(MANY + 10):
            look((str(number),))
    assert len(done) == MANY + 20


def test_names_that_are_refused_are_refused_again():
    builder = EnvelopeBuilder(load(), Identity("p@1", "s", "r"))
    for _ in range(2):
        with pytest.raises(Invalid, match="control characters"):
            builder.check({"fine": "x", "not\nfine": "y"}, b"")
    builder.check({"fine": "x"}, b"")


def test_names_are_folded_with_what_stands_under_them():
    headers = {"Message_Id": "1", "producer": "p"}
    assert fold(headers) == {"message_id": "1", "producer": "p"}
    assert fold({"producer": "p"}) == {"producer": "p"}
