"""Histories as files: lines and Parquet say the same, in one piece or in parts, and no damage passes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance.cli import cli
from ampy_conformance.history import (
    CorruptHistory,
    Recorder,
    Writer,
    convert,
    file,
    properties,
    table,
    verify,
)

CONTRACT = contracts.load()
PROPERTIES = properties.load(CONTRACT)


def _module(path):
    """Load a module by path: neither tests nor benchmarks are a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


legal = _module(Path(__file__).with_name("legal.py"))
made_history = _module(Path(__file__).parents[1] / "benchmarks" / "made_history.py")


def run(*arguments):
    """Run a verb; return its exit code, and its output or the sentence with which it ended."""
    result = CliRunner().invoke(cli, [*map(str, arguments)], standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def seal(path, rows):
    """Write rows as a whole history: head, events, and an end whose digest and number are right."""
    lines = [json.dumps({"kind": "history", "schema": 1, "seed": 7, "driver": {"name": "some"}})]
    lines += [each if isinstance(each, str) else json.dumps(each) for each in rows]
    data = "".join(f"{each}\n" for each in lines).encode()
    end = {"kind": "end", "events": len(rows), "digest": hashlib.sha256(data).hexdigest()}
    path.write_bytes(data + json.dumps(end).encode() + b"\n")
    return path


def spoiled(count, first=50_000):
    return [row for seed in range(first, first + count) for row in legal.spoiled(seed)]


def judged(path, **limits):
    """Return what every property says of a file, with its examples and what stands around them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            patch.setattr(table, name, value)
        results = properties.judge_history(CONTRACT, verify(path), PROPERTIES)
    return {each.rule.name: (each.covered, each.total, each.examples) for each in results}


@pytest.fixture
def lines(tmp_path):
    return seal(tmp_path / "run.jsonl", spoiled(300))


@pytest.fixture
def parquet(lines):
    target = lines.with_suffix(".parquet")
    convert(lines, target)
    return target


# -- the same judgement -----------------------------------------------------------------


def test_lines_and_parquet_whole_or_in_parts_are_judged_alike(lines, parquet):
    whole = judged(lines)
    assert sum(total for _, total, _ in whole.values()) > 100
    assert any(each[2] and each[2][0].events for each in whole.values())
    assert judged(parquet) == whole
    assert judged(parquet, BATCH=3000) == whole
    # Long lines become a table first.
    assert judged(lines, LARGE=0, BATCH=5000) == whole


def test_a_parquet_file_without_codes_is_judged_alike(lines, parquet, tmp_path):
    older = tmp_path / "older.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "CODES", {})
        convert(lines, older)
    assert older.stat().st_size < parquet.stat().st_size
    assert judged(older) == judged(parquet)


def test_parts_hold_whole_scopes_and_respect_the_limit():
    counts = {"a": 3, "b": 4, "c": 9, "d": 1, "e": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "BATCH", 7)
        assert properties._batches(counts) == [["a", "b"], ["c"], ["d", "e"]]


def test_every_fact_of_the_lines_is_in_the_parquet_file(lines, parquet):
    rows = [json.loads(each) for each in lines.read_text("utf-8").splitlines()][1:-1]
    names = [*table.COLUMNS, "incarnation", "detail"]
    chosen = ", ".join(f'"{name}"' for name in names)
    answer = duckdb.sql(f"SELECT {chosen} FROM '{parquet}'").fetchall()  # noqa: S608
    found = [dict(zip(names, each, strict=True)) for each in answer]
    for each in found:
        each["detail"] = json.loads(each["detail"]) if each["detail"] else None
    assert found == [{name: each.get(name) for name in names} for each in rows]
    assert verify(parquet).head == verify(lines).head
    assert verify(parquet).events == len(rows)


def test_names_with_quotes_and_odd_letters_are_kept(tmp_path):
    folder = tmp_path / "it's a 'folder'"
    folder.mkdir()
    rows = [{**row, "case": "o'n\"e ü \\"} for row in legal.legal(5)]
    lines = seal(folder / "a'b.jsonl", rows)
    target = lines.with_suffix(".parquet")
    convert(lines, target)
    assert judged(lines) == judged(target) == judged(target, BATCH=1)


def test_ids_are_compared_in_any_case_and_nothing_else_is_confused(tmp_path):
    """The codes of bodies and ids stand for the text: one letter makes another body."""

    def twice(second):
        rows = []
        for n, (body, name) in enumerate((("b", "id-A"), second)):
            where = {"group": "g", "subscription": "s", "delivery": f"d{n}"}
            rows += [
                {"kind": "deliver", **where, "topic": "ampy.dev.bars.v1.X", "key": "k", "attempt": 1,
                 "message_id": name, "body_hash": body, "position": "1"},
                {"kind": "effect", **where, "body_hash": body},
                {"kind": "settled", **where, "detail": {"recorded": True}},
            ]  # fmt: skip
        rows = [{"case": "x", "seq": n, "t_ns": n, **each} for n, each in enumerate(rows)]
        found = judged(seal(tmp_path / "h.jsonl", rows))
        return bool(found["double_effect"][1])

    assert twice(("c", "ID-a"))
    assert not twice(("b", "id-B"))


def test_a_made_history_is_whole_and_legal_and_nearly_everything_has_a_chance(tmp_path):
    """What the benchmark measures is a history, not rows that no property looks at."""
    path = tmp_path / "made.jsonl"
    events = made_history.make(path, 170_000, 1)
    assert verify(path).events == events
    found = judged(path)
    assert [name for name, each in found.items() if each[1]] == []
    assert {name for name, each in found.items() if not each[0]} == {
        "both_ends", "corruption_passed", "failed_but_visible",
    }  # fmt: skip


@pytest.mark.parametrize("late", [False, True], ids=["never", "late"])
def test_an_overrun_is_found_wherever_it_stands_in_a_long_history(tmp_path, late):
    """The property looks at stretches of events first: the count goes on from one to the next."""
    rng = random.Random(late)
    rows = [
        {"kind": "mark", "group": "g", "subscription": who, "detail": {"credit": 6}} for who in "st"
    ]
    hands = {"s": [], "t": []}
    broken = []
    for n in range(3000):
        who = rng.choice("st")
        room = 7 if late and who == "t" and n > 2000 else 6
        mine = {"group": "g", "subscription": who}
        if len(hands[who]) < room and rng.random() < 0.6:
            hands[who].append(f"d{n}")
            if len(hands[who]) > 6:
                broken.append(len(rows))
            rows.append({"kind": "deliver", **mine, "delivery": f"d{n}", "body_hash": f"b{n}",
                         "topic": "ampy.dev.bars.v1.X", "attempt": 1})  # fmt: skip
        elif hands[who]:
            done = hands[who].pop(rng.randrange(len(hands[who])))
            rows.append({"kind": "effect", **mine, "delivery": done})
    rows = [{"case": "x", "seq": n, "t_ns": n, **each} for n, each in enumerate(rows)]
    assert late is (len(broken) > 20)
    _, total, examples = judged(seal(tmp_path / "run.jsonl", rows))["credit_overrun"]
    assert total == len(broken)
    assert [each.seq for each in examples] == broken[: len(examples)]


# -- what is shown of a violation -------------------------------------------------------


def _lost():
    """Return a history in which one of many records is lost with the member that had it in its hands."""
    rows = [{"kind": "mark", "group": "g", "subscription": "s", "detail": {"start": "earliest"}}]
    where = {"topic": "ampy.dev.bars.v1.X", "key": "k"}
    for n in range(30):
        call = {"uid": f"u{n}", "producer": "p", "pseq": n, "body_hash": f"b{n}", **where}
        mine = {"group": "g", "subscription": "s", "delivery": f"d{n}"}
        rows += [{"kind": "invoke", **call}, {"kind": "ok", "uid": f"u{n}"}]
        rows.append(
            {"kind": "deliver", **mine, **where, "body_hash": f"b{n}", "message_id": f"m{n}",
             "position": str(n + 1), "attempt": 1, "actor": "one" if n < 20 else "two"}
        )  # fmt: skip
        if n == 10:
            rows += [{"kind": "mark"} for _ in range(9)]
            rows.append({"kind": "fault", "actor": "two", "detail": {"fault": "killed"}})
            rows.append({"kind": "fault", "actor": "one", "detail": {"fault": "killed"}})
        else:
            rows.append({"kind": "effect", **mine, "body_hash": f"b{n}"})
            rows.append({"kind": "settled", **mine, "detail": {"recorded": True}})
    rows.append({"kind": "mark", "detail": {"drained": True}, "t_ns": 60_000_000_000})
    rows += [
        {"kind": "audit", **where, "body_hash": f"b{n}", "message_id": f"m{n}",
         "position": str(n + 1), "detail": {"stream": "S"}}
        for n in range(30)
    ]  # fmt: skip
    rows.append({"kind": "mark", "detail": {"audited": True}})
    return [
        {"t_ns": 0, "actor": "harness", **each, "case": "x", "seq": n}
        for n, each in enumerate(rows)
    ]


@pytest.mark.parametrize("form", ["lines", "parquet"])
def test_of_a_lost_record_its_own_events_and_the_kill_are_shown(tmp_path, form):
    path = seal(tmp_path / "run.jsonl", _lost())
    if form == "parquet":
        convert(path, path.with_suffix(".parquet"))
        path = path.with_suffix(".parquet")
    (example,) = judged(path)["lost"][2]
    assert [(each["kind"], each.get("fault")) for each in example.events] == [
        ("invoke", None), ("ok", None), ("deliver", None), ("fault", "killed"), ("audit", None),
    ]  # fmt: skip
    assert example.events[3]["actor"] == "one", "the death of another member is not its matter"
    assert example.events[-1]["seq"] == example.seq


def test_what_shows_while_the_run_goes_on_is_shown_with_its_neighbours(tmp_path):
    rows = _lost()
    again = next(n for n, each in enumerate(rows) if each["kind"] == "settled")
    rows.insert(again + 1, {**rows[again - 2], "delivery": "d0-again", "attempt": 2})
    rows.insert(again + 2, {**rows[again - 1], "delivery": "d0-again"})
    rows = [{**each, "seq": n} for n, each in enumerate(rows)]
    (example,) = judged(seal(tmp_path / "run.jsonl", rows))["double_effect"][2]
    kinds = [each["kind"] for each in example.events if each.get("delivery") in ("d0", "d0-again")]
    assert kinds == ["deliver", "effect", "settled", "deliver", "effect"]
    near = {each["seq"] for each in example.events if abs(each["seq"] - example.seq) <= 4}
    assert len(near) == 9
    assert len(example.events) <= properties.MOST_AROUND


# -- written as Parquet -----------------------------------------------------------------


def test_a_run_leaves_a_parquet_file_and_no_lines(tmp_path):
    path = tmp_path / "run.parquet"
    code, _ = run("certify", "mem", "--clause", "TOP-01", "--history", path)
    assert code == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run.parquet"]
    found = verify(path)
    assert found.events
    assert found.head["driver"]["name"]
    code, output = run("check", path, "--json")
    assert code in {0, 6}
    assert json.loads(output)["history"]["events"] == found.events


def test_lines_stay_readable_while_the_run_goes_on_and_when_it_breaks_off(tmp_path):
    path = tmp_path / "run.parquet"
    writer = Writer(path, seed=1)
    Recorder(lambda event: writer.add("one", event)).add("mark")
    left = tmp_path / "run.parquet.jsonl"
    assert [json.loads(each)["kind"] for each in left.read_text("utf-8").splitlines()] == [
        "history", "mark",
    ]  # fmt: skip
    code, sentence = run("check", path)
    assert code == 2
    assert str(left) in sentence
    assert run("check", left) == (
        2, f"{left} has no end line: the run was cut off, run it again",
    )  # fmt: skip
    writer.end()
    assert verify(path).events == 1
    assert not left.exists()


def test_a_parquet_history_without_duckdb_is_refused_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError, match=r"\[history\]"):
        Writer(tmp_path / "run.parquet")
    assert list(tmp_path.iterdir()) == []


def test_check_saves_lines_as_parquet(lines, tmp_path):
    target = tmp_path / "saved.parquet"
    first = run("check", lines, "--save", target, "--json")
    assert first[0] == 1
    assert run("check", target, "--json") == first
    assert target.stat().st_size < lines.stat().st_size
    assert run("check", target, "--save", tmp_path / "x.parquet")[0] == 2
    assert run("check", lines, "--save", tmp_path / "nowhere" / "x.parquet")[0] == 2
    assert not list(tmp_path.glob("*.part"))


def test_a_history_without_events_is_no_verdict(tmp_path):
    lines = seal(tmp_path / "run.jsonl", [])
    assert run("check", lines)[0] == 4
    convert(lines, lines.with_suffix(".parquet"))
    assert run("check", lines.with_suffix(".parquet"))[0] == 4


# -- damage -----------------------------------------------------------------------------


def test_every_damage_of_a_parquet_file_is_noticed(parquet):
    raw = parquet.read_bytes()
    damaged = {
        "cut off": raw[: len(raw) // 2],
        "one byte short": raw[:-1],
        "only the beginning": raw[:4],
        "without its beginning": raw[4:],
        "longer": raw + b"\n",
        "another digest": raw.replace(file._digest_of(parquet)[1].encode(), b"0" * 64),
    }
    for name, data in damaged.items():
        parquet.write_bytes(data)
        code, sentence = run("check", parquet)
        assert code == 2, name
        assert str(parquet) in sentence, name
        assert "\n" not in sentence, name


def test_random_damage_of_a_parquet_file_is_noticed(parquet):
    raw = parquet.read_bytes()
    rng = random.Random(3)
    # The footer is small: half of the places are in its last part.
    places = [rng.randrange(len(raw)) for _ in range(100)]
    places += [len(raw) - 1 - rng.randrange(300) for _ in range(100)]
    for place in places:
        data = bytearray(raw)
        data[place] ^= 1 << rng.randrange(8)
        parquet.write_bytes(data)
        with pytest.raises(CorruptHistory):
            verify(parquet)


def test_a_foreign_parquet_file_or_one_of_another_schema_is_told(parquet, tmp_path, monkeypatch):
    foreign = tmp_path / "foreign.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS x) TO '{foreign}' (FORMAT parquet)")
    code, sentence = run("check", foreign)
    assert code == 2
    assert "not a history of this suite's" in sentence
    monkeypatch.setattr(file, "SCHEMA_VERSION", 2)
    code, sentence = run("check", parquet)
    assert code == 2
    assert "schema 1; this version reads schema 2" in sentence


ROWS = [
    {"case": case, "seq": n, "t_ns": n, "kind": "mark"} for n in range(4) for case in ("a", "b")
]


def test_scopes_may_stand_between_one_another(tmp_path):
    """Cases that run at the same time write their events in turns."""
    lines = seal(tmp_path / "run.jsonl", ROWS)
    convert(lines, lines.with_suffix(".parquet"))
    for path in (lines, lines.with_suffix(".parquet")):
        assert run("check", path)[0] == 6


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([*ROWS[:2], ROWS[4], ROWS[3], ROWS[2], *ROWS[5:]], "out of order"),
        ([*ROWS[:2], *ROWS[3:]], "out of order"),
        ([*ROWS[:3], *ROWS[2:]], "out of order"),
        (ROWS[2:], "out of order"),
        ([*ROWS[:4], "x", *ROWS[4:]], "line 6 is not JSON"),
        ([*ROWS, {"kind": "mark", "seq": 4}], "line 10 is not an event"),
        ([*ROWS, {"kind": "mark", "case": "a", "seq": "four"}], "line 10 is not an event"),
        ([*ROWS, {"case": "a", "seq": 4}], "line 10 is not a line of a history"),
        ([*ROWS, {**ROWS[6], "seq": 4, "t_ns": "late"}], "cannot be read as events"),
    ],
    ids=["swapped", "gap", "doubled", "begins late", "not JSON", "no case", "no number", "no kind",
         "wrong type"],
)  # fmt: skip
@pytest.mark.parametrize("limit", [table.LARGE, 0], ids=["lines", "by way of Parquet"])
def test_a_right_digest_does_not_excuse_wrong_lines(tmp_path, monkeypatch, rows, says, limit):
    monkeypatch.setattr(table, "LARGE", limit)
    path = seal(tmp_path / "run.jsonl", rows)
    code, sentence = run("check", path)
    assert code == 2
    assert says in sentence
    assert "\n" not in sentence


def test_a_right_digest_does_not_excuse_wrong_numbers_in_parquet(tmp_path):
    lines = seal(tmp_path / "run.jsonl", [*ROWS[:2], *ROWS[3:]])
    target = lines.with_suffix(".parquet")
    convert(lines, target)
    code, sentence = run("check", target)
    assert code == 2
    assert "events of 'a' are missing, doubled or out of order" in sentence


def test_a_history_that_does_not_fit_its_number_of_events_is_told(tmp_path):
    path = seal(tmp_path / "run.jsonl", ROWS)
    path.write_bytes(path.read_bytes().replace(b'"events": 8', b'"events": 7'))
    code, sentence = run("check", path)
    assert code == 2
    assert "changed after it was written" in sentence
