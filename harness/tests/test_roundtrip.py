"""SER-08 across languages: the real programs, and round trips that are wrong on purpose."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner
from google.protobuf.unknown_fields import UnknownFieldSet

from ampy_conformance import contract as contracts
from ampy_conformance import roundtrip
from ampy_conformance._errors import ConformError
from ampy_conformance._layout import room
from ampy_conformance.cli import cli
from ampy_conformance.contract import payloads
from ampy_conformance.roundtrip import corpus, programs
from ampy_conformance.roundtrip.difference import difference
from ampy_conformance.roundtrip.programs import Output

CONTRACT = contracts.load()
TYPES = payloads.types(CONTRACT)
WANTED = roundtrip.specimens(CONTRACT)
# Enough for every variant, without starting hundreds of processes.
SOME = [each for each in WANTED if each.of.partition("/")[0] in ("bars", "metrics", "signals")]
SOME += [each for each in WANTED if each.variant in corpus.EXTREMES]


def run(*arguments):
    result = CliRunner().invoke(
        cli, ["golden", "roundtrip", *map(str, arguments)], standalone_mode=False
    )
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    assert result.exception is None, result.exception
    return result.return_value, result.output


def language(name):
    try:
        return roundtrip.program(name, CONTRACT, print)
    except roundtrip.NotThere as error:
        pytest.skip(str(error))


# -- what goes on the trip -----------------------------------------------------------------


def test_every_domain_and_every_payload_type_of_the_goldens_goes():
    assert {each.of.partition("/")[0] for each in WANTED if "/" in each.of} == set(CONTRACT.domains)
    assert {each.schema for each in WANTED if each.variant in corpus.EXTREMES} == {
        each.schema for each in WANTED
    }


def test_unknown_fields_are_in_the_message_and_in_the_messages_within():
    seen = 0
    for each in (each for each in WANTED if each.variant == corpus.UNKNOWN):
        message = TYPES.decode(each.schema, each.data)
        assert len(UnknownFieldSet(message)) == 5
        for field, value in message.ListFields():
            if field.message_type is not None and not corpus.is_map(field):
                for inner in value if field.is_repeated else (value,):
                    assert len(UnknownFieldSet(inner)) == 5
                    seen += 1
    assert seen > 100


@pytest.mark.parametrize("each", [each for each in WANTED if not each.valid], ids=str)
def test_what_is_no_message_is_none(each):
    with pytest.raises(payloads.DecodeError):
        TYPES.decode(each.schema, each.data)


def test_unknown_fields_have_numbers_that_no_type_uses():
    def kinds(descriptor, seen):
        if descriptor.full_name not in seen:
            seen[descriptor.full_name] = descriptor
            for field in descriptor.fields:
                if field.message_type is not None:
                    kinds(field.message_type, seen)
        return seen

    for schema in {each.schema for each in WANTED}:
        for kind in kinds(TYPES.of(schema).DESCRIPTOR, {}).values():
            assert all(field.number < corpus.FIRST_UNKNOWN for field in kind.fields)


# -- the comparison ------------------------------------------------------------------------


def metric(**fields):
    return TYPES.build("ampy.metrics.v1.Metric", {"name": "a", **fields})


@pytest.mark.parametrize(
    ("left", "right", "says"),
    [
        (metric(value=1), metric(), "value is lost"),
        (metric(), metric(value=1), "value was not there before"),
        (metric(value=1), metric(value=2), "value has another value"),
        (metric(value=-0.0), metric(value=1e-300), "value has another value"),
        (metric(labels={"a": "1"}), metric(labels={"b": "1"}), "labels has other keys"),
        (
            metric(labels={"a": "1"}),
            metric(labels={"a": "2"}),
            "labels[...] has another value",
        ),
        (
            metric(at="2025-01-01T00:00:00Z"),
            metric(at="2025-01-01T00:00:01Z"),
            "at.seconds has another value",
        ),
    ],
)
def test_a_difference_is_named_by_its_place(left, right, says):
    assert difference(left, right) == says
    assert difference(left, left) is None


def test_a_nan_is_equal_to_itself_and_a_lost_unknown_field_is_a_difference():
    assert difference(metric(value="NaN"), metric(value="NaN")) is None
    left = TYPES.build("ampy.bars.v1.BarBatch", {"bars": [{"security": {"symbol": "A"}}] * 2})
    right = TYPES.of("ampy.bars.v1.BarBatch").FromString(left.SerializeToString())
    left.bars[1].security.MergeFromString(corpus.unknown_fields())
    assert difference(left, right) == (
        "the unknown field 20000 in bars[1].security is lost or changed"
    )
    assert "was not there before" in difference(right, left)
    del left.bars[0]
    assert difference(left, right) == "bars has 2 elements instead of 1"


# -- the real programs ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["go", "cpp", "python"])
def test_every_message_survives_and_every_other_is_refused(name):
    cells = roundtrip.judge(CONTRACT, language(name), SOME)
    assert [
        (each.specimen.of, each.specimen.variant, each.says) for each in cells if not each.good
    ] == []
    assert {each.outcome for each in cells} >= {"same bytes", "refused"}


@pytest.mark.parametrize("name", ["go", "cpp"])
def test_a_type_that_does_not_exist_is_trouble_and_no_refusal(name):
    with pytest.raises(programs.ProgramTrouble, match="does not work"):
        language(name).run("ampy.bars.v1.NoSuch", b"")


# -- round trips that are wrong ------------------------------------------------------------


class Wrong:
    """A program in this process; `trip` gets the message class and the data."""

    name = "wrong"
    what = ""

    def __init__(self, trip):
        self.trip = trip

    def run(self, schema, data):
        return self.trip(TYPES.of(schema), data)


def dropping(kind, data):
    message = _parsed(kind, data)
    if message is None:
        return Output(None)
    message.DiscardUnknownFields()
    return Output(payloads.serialize(message))


def first_only(kind, data):
    """Keep the first element of what repeats."""
    message = _parsed(kind, data)
    if message is None:
        return Output(None)
    for field, value in message.ListFields():
        if field.is_repeated and not corpus.is_map(field):
            del value[1:]
    return Output(payloads.serialize(message))


def _parsed(kind, data):
    try:
        return kind.FromString(data)
    except Exception:  # noqa: BLE001 (whatever the library raises is a refusal)
        return None


@pytest.mark.parametrize(
    ("trip", "variants", "says"),
    [
        (dropping, {corpus.UNKNOWN}, "unknown field"),
        (
            first_only,
            {corpus.PLAIN, corpus.UNKNOWN, corpus.TWICE, *corpus.EXTREMES},
            "elements instead of",
        ),
        (lambda _, data: Output(data), {corpus.TRUNCATED, corpus.BAD_TEXT}, "accepted"),
        (lambda *_: Output(b""), {each.variant for each in WANTED}, "lost"),
        (lambda *_: Output(None), {each.variant for each in WANTED if each.valid}, "was refused"),
        (lambda *_: Output(b"\xff"), {each.variant for each in WANTED}, "no message of the type"),
        (
            lambda *_: Output(None, "ended with -11"),
            {each.variant for each in WANTED},
            "ended with -11",
        ),
    ],
)
def test_a_wrong_round_trip_is_found_where_it_is_wrong(trip, variants, says):
    bad = [each for each in roundtrip.judge(CONTRACT, Wrong(trip), WANTED) if not each.good]
    assert {each.specimen.variant for each in bad} == variants
    assert any(says in each.says for each in bad)


def test_the_program_in_cpp_that_drops_unknown_fields_is_caught_by_the_verb(tmp_path, monkeypatch):
    language("cpp")
    sources = shutil.copytree(
        room("interop") / "roundtrip" / "cpp", tmp_path / "interop/roundtrip/cpp"
    )
    text = (sources / "roundtrip.cpp").read_text("utf-8")
    wrong = text.replace(
        "  std::string output;", "  message->DiscardUnknownFields();\n  std::string output;"
    )
    assert wrong != text
    (sources / "roundtrip.cpp").write_text(wrong, "utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(programs, "room", lambda name: tmp_path / name)
    code, output = run("--lang", "cpp", "--json")
    assert code == 1
    bad = [each for each in json.loads(output)["trips"] if each["outcome"] == "different"]
    assert len(json.loads(output)["trips"]) == len(WANTED)
    assert {each["variant"] for each in bad} == {corpus.UNKNOWN}
    assert all("unknown field" in each["says"] for each in bad)


# -- the verb ------------------------------------------------------------------------------


def test_the_table_and_the_data(tmp_path):
    """One language and one program that gives back whatever it gets."""
    code, output = run("--lang", "python")
    assert code == 0
    assert "bars/typical" in output
    assert f"python: {len(WANTED)} of {len(WANTED)} as they must be" in output
    echo = tmp_path / "echo"
    echo.write_text("#!/bin/sh\nexec cat\n")
    echo.chmod(0o755)
    code, output = run("--lang", "python", "--program", f"echo={echo}")
    assert code == 1
    assert "SER-08 echo: bars/typical (cut off): accepted, although it is no message" in output


def test_a_missing_toolchain_is_not_run_and_an_error_where_it_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    code, output = run()
    assert code == 0
    assert "go: not run (there is no Go: install Go" in output
    assert "cpp: not run (there is no C++ compiler: install g++" in output
    for name in ("go", "cpp"):
        code, output = run("--lang", name)
        assert code == 3
        assert "install" in output


def test_a_build_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    if shutil.which("pkg-config") is None:
        pytest.skip("no pkg-config")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "/bin/false")
    code, output = run("--lang", "cpp")
    assert code == 3
    assert "round trip" in output or "libprotobuf" in output
    assert list(tmp_path.rglob("*roundtrip*")) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--lang", "ada"), "there is no language 'ada'"),
        (("--program", "x"), "not of the form NAME=PATH"),
        (("--lang", "python", "--program", "x=/no/such"), "/no/such is no program"),
        (("--lang", "python", "--program", "python=/bin/cat"), "give yours another name"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments, says):
    code, output = run(*arguments)
    assert code == 2
    assert says in output
