"""Lines and frames: what is let through, what is refused, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ampy_conformance import protocol
from ampy_conformance._layout import room
from ampy_conformance.protocol.document import conversation

FRAMES = protocol.frames()
RECORD = {"topic": "t", "schema_fqdn": "a.B", "payload": "QQ==", "key": {"mic": "XNAS"}}
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def test_the_schema_is_valid_and_every_request_has_answer_and_deadline() -> None:
    root = json.loads((room("schemas") / "driver" / "protocol.json").read_text("utf-8"))
    Draft202012Validator.check_schema(root)
    expected = "hello clock open open_producer publish subscribe credit settle serve_replay "
    expected += "checkpoint lag query redrive load_plan metrics unsubscribe close stop"
    assert sorted(expected.split()) == sorted(FRAMES.operations)
    assert all(f"answer.{each}" in root["$defs"] for each in FRAMES.operations)
    assert all(FRAMES.deadline_ms(each) >= 1000 for each in FRAMES.operations)


@pytest.mark.parametrize(
    ("definite", "codes"),
    [
        (True, "invalid_topic invalid_record denied too_large throttled unsupported"),
        (True, "not_connected expired revoked"),
        (False, "timeout connection_lost internal cosmic_rays"),
    ],
)
def test_only_listed_codes_say_that_nothing_happened(codes: str, definite: bool) -> None:
    assert [FRAMES.definite(each) for each in codes.split()] == [definite] * len(codes.split())


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(TEXT, JSON))
def test_what_is_encoded_is_decoded(frame: dict[str, Any]) -> None:
    line = protocol.encode(frame)
    assert line.count(b"\n") == 1
    assert protocol.decode(line) == frame


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_decode_or_be_refused(line: bytes) -> None:
    try:
        frame = protocol.decode(line)
    except protocol.LineError as error:
        says = str(error)
        assert says.isprintable()
        assert len(says) < 1100  # 200 characters, each escaped with five more at worst
    else:
        assert isinstance(frame, dict)


@pytest.mark.parametrize("value", [b"bytes", float("nan"), {1, 2}, "\ud800"])
def test_what_json_cannot_carry_is_not_sent(value: object) -> None:
    with pytest.raises(protocol.LineError, match="JSON cannot carry"):
        protocol.encode({"x": value})


def test_a_line_has_at_most_eight_mebibytes() -> None:
    assert protocol.MAX_LINE == 8 * 1024 * 1024
    overhead = len(protocol.encode({"x": ""}))
    assert len(protocol.encode({"x": "x" * (protocol.MAX_LINE - overhead)})) == protocol.MAX_LINE
    with pytest.raises(protocol.LineError, match="over the limit of 8388608"):
        protocol.encode({"x": "x" * (protocol.MAX_LINE - overhead + 1)})


@given(st.binary(max_size=100))
def test_payload_bytes_survive_and_fit_the_schema(data: bytes) -> None:
    text = protocol.to_base64(data)
    assert protocol.from_base64(text) == data
    record = {**RECORD, "payload": text}
    FRAMES.check_request({"id": 1, "op": "publish", "producer": "p", "records": [record]})


@pytest.mark.parametrize("text", ["QQ", "QQ=", "Q Q=", "QQ==\n", "QQ==QQ==", "-_==", "="])
def test_what_is_not_base64_is_refused_unquoted(text: str) -> None:
    with pytest.raises(protocol.LineError, match=r"^a field is not base64$"):
        protocol.from_base64(text)
    record = {**RECORD, "payload": text}
    with pytest.raises(
        protocol.FrameError, match=r"^publish request: records\[0\]\.payload: is not base64$"
    ):
        FRAMES.check_request({"id": 1, "op": "publish", "producer": "p", "records": [record]})


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ({"id": 1}, "a request has no op"),
        ({"id": 1, "op": "fly\n" + "x" * 99}, r"there is no request 'fly\\nxxx"),
        ({"op": "clock"}, "clock request: the field id is missing"),
        ({"id": 0, "op": "clock"}, "clock request: id: 0 is less than 1"),
        ({"id": "1", "op": "clock"}, "clock request: id: is a string, not an integer"),
        (
            {"id": 1, "op": "credit", "subscription": "", "n": 1},
            "credit request: subscription: is shorter than 1",
        ),
        (
            {"id": 1, "op": "publish", "producer": "p", "records": []},
            "publish request: records: has fewer than 1 items",
        ),
    ],
)
def test_a_wrong_request_is_told_by_its_field(frame: dict[str, Any], says: str) -> None:
    with pytest.raises(protocol.FrameError, match=f"^{says}"):
        FRAMES.check_request(frame)


@pytest.mark.parametrize(
    ("op", "fields", "says"),
    [
        ("publish", {}, "publish answer: the field results is missing"),
        (
            "publish",
            {"results": [{"outcome": "yes"}]},
            r"publish answer: results\[0\]\.outcome: 'yes' is not one of ok, fail, info",
        ),
        ("clock", {"t_ns": -1}, "clock answer: t_ns: -1 is less than 0"),
        ("clock", {"t_ns": None}, "clock answer: t_ns: is null, not an integer"),
        ("close", {"ok": "yes"}, "close answer: ok: 'yes' is not True"),
        (
            "close",
            {"ok": False, "error": {"code": "internal", "message": "x" * 4001}},
            "close answer: error.message: is longer than 4000",
        ),
        ("close", {"ok": False}, "close answer: the field error is missing"),
    ],
)
def test_a_wrong_answer_is_told_by_its_field(op: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(protocol.FrameError, match=f"^{says}$"):
        FRAMES.check_answer(op, {"re": 1, "ok": True, **fields})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"event": None}, "there is no event 'None'"),
        ({"attempt": 0}, "deliver event: attempt: 0 is less than 1"),
        ({"headers": {"a": 1}}, r"deliver event: headers\.a: is a number, not a string"),
        ({"payload": "secret!"}, "deliver event: payload: is not base64"),
        ({"position": 7}, "deliver event: position: is a number, not null or a string"),
    ],
)
def test_a_wrong_event_is_told_by_its_field(changes: dict[str, Any], says: str) -> None:
    frame: dict[str, Any] = {"event": "deliver", "subscription": "s", "delivery": "d", "topic": "t"}
    frame |= {"headers": {}, "payload": "", "attempt": 1}
    FRAMES.check_event(frame)
    with pytest.raises(protocol.FrameError, match=f"^{says}$"):
        FRAMES.check_event({**frame, **changes})


def test_each_record_and_each_verdict_has_its_result() -> None:
    request = {"records": [RECORD] * 3}
    expects = FRAMES.expects("publish", request)
    result = {"outcome": "ok"}
    FRAMES.check_answer("publish", {"re": 1, "ok": True, "results": [result] * 3}, expects)
    with pytest.raises(protocol.FrameError, match="has 2 items for 3 records"):
        FRAMES.check_answer("publish", {"re": 1, "ok": True, "results": [result] * 2}, expects)


def test_unknown_fields_are_let_through() -> None:
    FRAMES.check_answer("close", {"re": 1, "ok": True, "since": "version 1.7"})


def test_the_documentation_is_current_and_names_every_field() -> None:
    path = Path(__file__).parents[2] / "docs" / "driver-protocol.md"
    text = path.read_text("utf-8")
    assert not protocol.is_stale(text), (
        "docs/driver-protocol.md differs from schemas/driver; write it again with "
        "`python -m ampy_conformance.protocol > docs/driver-protocol.md`"
    )
    assert protocol.is_stale(text.replace("handler", "hamster"))
    for name in FRAMES.operations:
        assert f"### {name}\n" in text
    for code in FRAMES.schema.errors:
        assert f"| `{code}` |" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert not [line for line in rows if line.endswith("|  |") and "." not in line.split("`")[1]]


def test_the_conversation_that_is_shown_keeps_the_protocol():
    known, asked = FRAMES, {}
    for each in map(json.loads, conversation()):
        if "op" in each:
            known.check_request(each)
            asked[each["id"]] = each
        elif "re" in each:
            request = asked.pop(each["re"])
            known.check_answer(request["op"], each, known.expects(request["op"], request))
        else:
            known.check_event(each)
    assert not asked
