"""Histories on disk and the properties over them: no false alarm, nothing overlooked."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import shutil
from pathlib import Path

import jsonschema
import pytest
import sqlglot
from click.testing import CliRunner

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError
from ampy_conformance._layout import room
from ampy_conformance.cli import cli
from ampy_conformance.contract.registry import SpecError
from ampy_conformance.history import CorruptHistory, Recorder, Writer, properties, verify

CONTRACT = contracts.load()
PROPERTIES = properties.load(CONTRACT)


def _beside(name):
    """Load a helper module of this folder: tests are imported by path, not as a package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


legal, brute, planted = _beside("legal"), _beside("brute"), _beside("planted")


def write(path, rows):
    """Write rows as a file that DuckDB reads (without the first and last line)."""
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")
    return path


def violated(path, rows):
    """Return, per property, the scopes in which DuckDB finds it violated."""
    connection = properties.open_history(CONTRACT, write(path, rows))
    found = {}
    for each in PROPERTIES:
        query = f"SELECT DISTINCT scope FROM ({each.violations})"  # noqa: S608 (our own text)
        found[each.name] = {row[0] for row in connection.execute(query).fetchall()}
    return found


def test_two_thousand_legal_histories_are_not_accused(tmp_path):
    rows = [row for seed in range(2000) for row in legal.legal(seed)]
    found = violated(tmp_path / "h.jsonl", rows)
    assert {name: scopes for name, scopes in found.items() if scopes} == {}


def test_legal_histories_cover_every_property(tmp_path):
    """What is never put to the test cannot be accused, and proves nothing."""
    rows = [row for seed in range(300) for row in legal.legal(seed)]
    connection = properties.open_history(CONTRACT, write(tmp_path / "h.jsonl", rows))
    results = {each.rule.name: each for each in properties.judge(connection, PROPERTIES)}
    stated = {each.__name__ for each in brute.PROPERTIES}
    assert [name for name in stated if not results[name].covered] == []
    assert {results[name].verdict for name in stated} == {"holds"}


@pytest.mark.parametrize("rule", PROPERTIES, ids=lambda each: each.name)
def test_every_property_finds_its_planted_violation_and_nothing_else(tmp_path, rule):
    """The sound twin is not accused, has a chance to be, and the broken one is found."""
    sound, broken = planted.PLANTED[rule.name]
    rows = [*planted.numbered("sound", sound), *planted.numbered("broken", broken)]
    connection = properties.open_history(CONTRACT, write(tmp_path / "h.jsonl", rows))
    (result,) = properties.judge(connection, [rule])
    assert result.covered
    assert {each.scope for each in result.examples} == {"broken"}


def on_kafka(rows):
    """The same history with Kafka's positions: each log is partition 0 of a topic."""
    return [
        {**each, "position": f"0:{each['position']}"} if each.get("position") else each
        for each in rows
    ]


@pytest.mark.parametrize("rule", PROPERTIES, ids=lambda each: each.name)
def test_positions_of_kafka_are_judged_alike(tmp_path, rule):
    sound, broken = (on_kafka(each) for each in planted.PLANTED[rule.name])
    rows = [*planted.numbered("sound", sound), *planted.numbered("broken", broken)]
    connection = properties.open_history(CONTRACT, write(tmp_path / "h.jsonl", rows))
    (result,) = properties.judge(connection, [rule])
    assert result.covered
    assert {each.scope for each in result.examples} == {"broken"}


def test_no_partition_is_compared_with_another(tmp_path):
    """A member that begins far on in one partition has skipped nothing in another."""

    def history(open_in):
        """Record 0 of partition 0 is left open; another member begins later, in `open_in`."""
        rows = [{"kind": "mark", "group": "g", "subscription": each,
                 "detail": {"start": "earliest", "credit": 9}} for each in ("s", "t")]  # fmt: skip
        for n, (partition, offset) in enumerate([(0, 1), (0, 5), (1, 0), (1, 9)]):
            rows.append(
                {"kind": "audit", "topic": f"t{partition}", "key": "k", "body_hash": f"b{n}",
                 "message_id": f"m{n}", "position": f"{partition}:{offset}",
                 "detail": {"stream": f"t{partition}/{partition}"}}
            )  # fmt: skip
        order = [("s", 1), ("s", 2), ("t", 1 if open_in == 0 else 3)]
        for sub, n in order:
            partition, offset = [(0, 1), (0, 5), (1, 0), (1, 9)][n]
            where = {"group": "g", "subscription": sub, "delivery": f"{sub}{n}",
                     "topic": f"t{partition}", "key": "k", "body_hash": f"b{n}"}  # fmt: skip
            rows.append({"kind": "deliver", "attempt": 1, "message_id": f"m{n}",
                         "position": f"{partition}:{offset}", **where})  # fmt: skip
            rows.append({"kind": "effect", **where})
        rows += planted.OVER
        return planted.numbered("x", rows)

    assert "x" in violated(tmp_path / "h.jsonl", history(open_in=0))["resume_gap"]
    assert violated(tmp_path / "h.jsonl", history(open_in=1))["resume_gap"] == set()


def test_spoiled_histories_are_judged_as_the_plain_statements_judge_them(tmp_path):
    """Three thousand histories, most of them illegal, two statements of each property."""
    seeds = range(10_000, 13_000)
    histories = {f"s{seed}": legal.spoiled(seed) for seed in seeds}
    found = violated(tmp_path / "h.jsonl", [row for rows in histories.values() for row in rows])
    for each in brute.PROPERTIES:
        expected = {scope for scope, rows in histories.items() if each(rows)}
        assert found[each.__name__] == expected, each.__name__
        assert len(expected) >= 5, f"{each.__name__}: too few violations to prove anything"


def test_an_unknown_publish_may_be_there_once_or_never(tmp_path):
    def history(outcome, stored):
        rows = [
            {"kind": "invoke", "uid": "u", "producer": "p", "key": "k", "pseq": 0, "topic": "t"}
        ]
        rows += [{"kind": outcome, "uid": "u"}] if outcome else []
        rows += [{"kind": "audit", "position": "1", "topic": "t"}] if stored else []
        rows += [{"kind": "mark", "detail": {"audited": True}}]
        return [{"case": "x", "seq": n, "body_hash": "b", **each} for n, each in enumerate(rows)]

    def names(outcome, *, stored):
        found = violated(tmp_path / "h.jsonl", history(outcome, stored))
        return {name for name, scopes in found.items() if scopes}

    for outcome in ("info", None):
        assert names(outcome, stored=True) == names(outcome, stored=False) == set()
    assert names("ok", stored=False) == {"lost_from_log"}
    assert names("fail", stored=True) == {"failed_but_visible"}


@pytest.mark.parametrize("rule", PROPERTIES, ids=lambda each: each.name)
def test_every_property_is_also_spark_sql(rule):
    for text in (rule.coverage, rule.violations):
        (translated,) = sqlglot.transpile(text, read="duckdb", write="spark")
        assert sqlglot.parse_one(translated, read="spark")


def test_a_property_without_header_or_with_a_mistake_is_told(tmp_path):
    shutil.copytree(room("spec"), tmp_path / "spec")
    contract = contracts.load(tmp_path / "spec")
    path = tmp_path / "spec" / "properties" / "extra.sql"
    path.write_text("SELECT 1", "utf-8")
    with pytest.raises(SpecError, match=r"extra\.sql needs the lines"):
        properties.load(contract)
    head = "-- property: extra\n-- clauses: QOS-01\n-- severity: fail\n-- means: x\n"
    path.write_text(f"{head}-- coverage\nSELECT 1\n-- violations\nSELEC scope FROM x", "utf-8")
    broken = next(each for each in properties.load(contract) if each.name == "extra")
    connection = properties.open_history(contract, write(tmp_path / "h.jsonl", legal.legal(1)))
    with pytest.raises(SpecError, match=r"extra\.sql does not run"):
        properties.judge(connection, [broken])
    path.write_text(head.replace("QOS-01", "QOS-77") + "-- coverage\nx\n-- violations\nx", "utf-8")
    with pytest.raises(SpecError, match="QOS-77, which is no clause"):
        properties.load(contract)


# -- files ------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    """Save a history with a violation in it."""
    path = tmp_path / "history.jsonl"
    writer = Writer(path, driver={"name": "some binding"}, seed=7)
    for case in ("one", "two"):
        recorder = Recorder(lambda event, case=case: writer.add(case, event))
        recorder.add("invoke", uid="u", producer="p", key="k", pseq=0, topic="t", body_hash="b")
        recorder.add("ok", uid="u", producer="p", body_hash="b")
        if case == "one":
            recorder.add("audit", position="1", topic="t", body_hash="b")
        recorder.add("mark", detail={"audited": True})
    writer.end()
    return path


def run(*arguments):
    result = CliRunner().invoke(cli, ["check", *map(str, arguments)], standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def test_a_saved_history_is_judged_again_and_explained(saved):
    code, output = run(saved)
    assert code == 1
    assert "lost_from_log (QOS-01, QOS-03)" in output
    assert "two: the acknowledged record u is stored nowhere" in output
    assert "invoke" in output
    data = json.loads(run(saved, "--json")[1])
    (found,) = [each for each in data["properties"] if each["violations"]]
    assert (found["property"], found["violations"], found["covered"]) == ("lost_from_log", 1, 2)
    assert [each["kind"] for each in found["examples"][0]["events"]] == ["invoke", "ok", "mark"]


def test_what_had_no_chance_is_not_said_to_hold(saved):
    assert run(saved, "--property", "double_effect")[0] == 6
    assert run(saved, "--property", "nosuch") == (2, run(saved, "--property", "nosuch")[1])


def test_the_lines_keep_their_schema(saved):
    schema = json.loads((room("schemas") / "history.json").read_text("utf-8"))
    for line in saved.read_text("utf-8").splitlines():
        jsonschema.validate(json.loads(line), schema)


def test_every_kind_of_event_that_the_suite_records_is_in_the_schema():
    schema = (room("schemas") / "history.json").read_text("utf-8")
    sources = (Path(properties.__file__).parents[1] / "suite").glob("*.py")
    text = "".join(each.read_text("utf-8") for each in sources)
    kinds = set(re.findall(r'history\.add\(\s*"(\w+)"', text))
    assert {"invoke", "deliver", "fault", "wire", "checkpoint"} <= kinds
    assert [each for each in sorted(kinds) if f'"{each}"' not in schema] == []


def test_every_damage_is_noticed(saved):
    raw = saved.read_bytes()
    rows = raw.splitlines(keepends=True)
    damaged = {
        "cut off": b"".join(rows[:-1]),
        "in the middle of a line": raw[:-20],
        "a line is missing": b"".join(rows[:2] + rows[3:]),
        "out of order": b"".join([*rows[:2], rows[3], rows[2], *rows[4:]]),
        "edited": raw.replace(b'"pseq": 0', b'"pseq": 1', 1),
        "foreign": b'{"kind": "run"}\n' + raw,
        "another schema": raw.replace(b'"schema": 1', b'"schema": 2', 1),
        "not JSON": raw + b"x",
        "binary": bytes(100),
        "empty": b"",
    }
    for name, data in damaged.items():
        saved.write_bytes(data)
        with pytest.raises(CorruptHistory) as error:
            verify(saved)
        assert "\n" not in str(error.value), name
        assert run(saved)[0] == 2, name
    assert run(saved.with_name("nowhere"))[0] == 2


def test_random_damage_is_noticed(saved):
    raw = saved.read_bytes()
    rng = random.Random(3)
    for _ in range(200):
        data = bytearray(raw)
        place = rng.randrange(len(data))
        data[place] ^= 1 << rng.randrange(8)
        saved.write_bytes(data)
        with pytest.raises(CorruptHistory):
            verify(saved)
