"""`ampy-conform validate`: every source, every exit code, and inputs that mean harm."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys

import jsonschema
import pytest
from click.testing import CliRunner

from ampy_conformance import broker as brokers
from ampy_conformance import contract as contracts
from ampy_conformance import validation
from ampy_conformance._errors import ConformError
from ampy_conformance._layout import room
from ampy_conformance.cli import cli
from ampy_conformance.contract.envelope import EnvelopeError, to_json
from ampy_conformance.contract.samples import Samples

CONTRACT = contracts.load()
GOLDEN, FAULTY = room("golden"), room("faulty")
TYPICAL = json.loads((GOLDEN / "bars" / "typical.json").read_text("utf-8"))


def run(*arguments, stdin=None):
    """Return (exit code, standard output); a user's mistake gives its sentence instead."""
    result = CliRunner().invoke(
        cli, ["validate", *map(str, arguments)], input=stdin, standalone_mode=False
    )
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def write(tmp_path, data, name="record.json"):
    path = tmp_path / name
    path.write_text(json.dumps(data), "utf-8")
    return path


def test_the_golden_envelopes_have_nothing_to_find():
    code, output = run(GOLDEN)
    assert code == 0
    assert output.strip().endswith("50 records: 50 accepted")


def test_each_faulty_envelope_is_refused_for_its_clause():
    code, output = run(FAULTY / "invalid", "--json")
    found = json.loads(output)
    assert code == 1
    assert found["summary"]["refused"] == found["summary"]["records"] == 67
    seen = {}
    for each in json.loads(run(FAULTY / "invalid", "--json", "--max-findings", 0)[1])["findings"]:
        name = each["record"].rpartition("/")[2]
        assert name.startswith(f"{each['clause']}-")
        assert each["severity"] == "fail"
        seen[name] = each
    assert len(seen) == 67


def test_warnings_pass_unless_strict():
    assert run(FAULTY / "warned")[0] == 0
    assert run(FAULTY / "warned", "--strict")[0] == 1


def test_lines_on_standard_input_are_a_stream(tmp_path):
    samples = Samples(CONTRACT, seed=1)
    ids = [f"0199167a-1b5{n}-7000-8000-000000000000" for n in range(3)]
    envelopes = [
        samples.envelope(samples.record("bars", entity=0), message_id=each) for each in ids
    ]
    good = "\n".join(json.dumps(to_json(each)) for each in envelopes)
    assert run("-", stdin=good)[0] == 0
    backwards = "\n".join(json.dumps(to_json(each)) for each in reversed(envelopes))
    code, output = run("-", "--format", "jsonl", stdin=backwards)
    clauses = {json.loads(line).get("clause") for line in output.splitlines()}
    assert code == 1
    assert {"HDR-03", "ORD-03"} <= clauses
    assert run("-", "--no-stream", stdin=backwards)[0] == 0
    path = tmp_path / "capture.jsonl"
    path.write_text(backwards, "utf-8")
    assert run(path)[0] == 1


def test_a_bad_line_is_told_with_its_number_and_does_not_stop_the_rest():
    lines = [json.dumps(TYPICAL), "{oops", "", json.dumps({"topic": 1}), json.dumps(TYPICAL)]
    code, output = run("-", "--json", stdin="\n".join(lines))
    found = json.loads(output)
    assert code == 2
    assert found["summary"]["accepted"] == 2
    assert [each["record"] for each in found["findings"]] == ["stdin:2", "stdin:4"]


def test_the_looser_forms_are_read(tmp_path):
    samples = Samples(CONTRACT, seed=1)
    whole = samples.envelope(samples.record("fx", entity=0))
    bare = {"topic": whole.topic, "headers": dict(whole.headers)}
    view = {"pair": {"base": "USD", "quote": "JPY"}, "mid": {"scaled": "1", "scale": 0}}
    assert run(write(tmp_path, bare))[0] == 0
    assert run(write(tmp_path, {**bare, "payload_json": view}))[0] == 0
    other = {**view, "pair": {"base": "EUR", "quote": "USD"}}
    code, output = run(write(tmp_path, {**bare, "payload_json": other}))
    assert (code, "KEY-fx" in output) == (0, True), "a wrong key is a warning"
    bare["headers"]["partition_key"] = "no pair"
    assert "KEY-fx" in run(write(tmp_path, bare))[1], "its form can be judged without a payload"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x7fELF\x00\x01", "binary"),
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1, 2", "not JSON"),
        (b"7", "object"),
        (b'{"topic": "x", "topic": "y", "headers": {}}', "twice"),
        (b"[" * 100_000, "nested too deep"),
        (b"\x1f\x8b\x08\x00", "binary"),
        (b'{"n": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"topic": "x", "headers": {"run_id": null}}', "'run_id' is not text"),
        (b'{"topic": "x", "headers": {}, "payload_b64": "?"}', "not base64"),
        (b'{"topic": 1}\n{"topic": 2}', "write each on a line"),
        (b"", "not JSON"),
    ],
)
def test_what_is_no_envelope_is_said_in_one_sentence(tmp_path, content, says):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    code, output = run(path)
    assert code == 2
    assert says in output
    assert len(output.strip().splitlines()) == 2


def test_a_huge_file_is_not_read_whole(tmp_path):
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    code, output = run(path)
    assert (code, "more than 64 MiB" in output, ".jsonl" in output) == (2, True, True)


def test_a_line_without_an_end_is_not_kept():
    good = json.dumps(TYPICAL)
    code, output = run("-", stdin=f"{'x' * (17 << 20)}\n{good}")
    assert code == 2
    assert "the line has more than 16 MiB" in output
    assert "1 accepted" in output


def test_a_gzip_bomb_is_stopped(tmp_path):
    bomb = gzip.compress(bytes(200 * 1024 * 1024), compresslevel=9)
    headers = {**TYPICAL["headers"], "content_encoding": "gzip"}
    data = {
        "topic": TYPICAL["topic"],
        "headers": headers,
        "payload_b64": base64.b64encode(bomb).decode(),
    }
    code, output = run(write(tmp_path, data))
    assert code == 1
    assert "SER-05" in output
    assert "unpacks to more than" in output


def test_an_altered_file_is_noticed(tmp_path):
    data = {**TYPICAL, "payload_b64": base64.b64encode(b"other").decode()}
    code, output = run(write(tmp_path, data))
    assert (code, "altered" in output) == (2, True)


def test_no_part_of_a_payload_is_ever_printed(tmp_path):
    secret = "cGVyc29uYWwtZGF0YQ=="
    data = {"topic": TYPICAL["topic"], "headers": TYPICAL["headers"], "payload_b64": secret}
    code, output = run(write(tmp_path, data))
    assert code == 1
    assert secret not in output
    assert "personal-data" not in output


def test_long_and_hostile_header_values_are_shortened_and_escaped(tmp_path):
    headers = {**TYPICAL["headers"], "run_id": "\x1b[31m" + "x" * 5000}
    code, output = run(write(tmp_path, {**TYPICAL, "headers": headers}))
    assert code == 1
    assert "\x1b" not in output
    assert "x" * 200 not in output


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["/no/such/place"], 2, "there is no file or folder"),
        (["--subject", "x"], 2, "--subject needs --broker"),
        (["--broker", "nats://127.0.0.1:1"], 2, "--broker needs --subject"),
        (["--broker", "nats://127.0.0.1:1", "--subject", "a.>"], 3, "nobody answers"),
        (["--broker", "nats://u:pw@127.0.0.1:1", "--subject", "a.>"], 3, "***@"),
    ],
)
def test_mistakes_of_the_user(arguments, code, says):
    seen, output = run(*arguments)
    assert seen == code
    assert says in output
    assert "pw@" not in output


def test_nothing_there_is_exit_4(tmp_path):
    assert run(tmp_path)[0] == 4
    assert run("-", stdin="")[0] == 4


def test_a_reader_that_goes_away_leaves_no_traceback(tmp_path):
    path = tmp_path / "many.jsonl"
    path.write_text((json.dumps({**TYPICAL, "topic": "x"}) + "\n") * 3000, "utf-8")
    command = [sys.executable, "-m", "ampy_conformance", "validate", path, "--format", "jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(30)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path):
    path = write(tmp_path, TYPICAL)
    path.chmod(0)
    code, output = run(path)
    assert (code, "cannot be read" in output) == (2, True)


def test_the_lines_keep_their_schema(tmp_path):
    schema = json.loads((room("schemas") / "finding.json").read_text("utf-8"))
    (tmp_path / "bad.json").write_text("{", "utf-8")
    _, output = run(FAULTY, GOLDEN / "fx", tmp_path / "bad.json", "--format", "jsonl")
    rows = [json.loads(line) for line in output.splitlines()]
    for each in rows:
        jsonschema.validate(each, schema)
    assert {each["kind"] for each in rows} == {"finding", "unreadable", "summary"}


def test_as_a_python_call():
    good, bad = TYPICAL, {**TYPICAL, "topic": "ampy.live.bars.v1.XNAS.AAPL"}
    first, second = validation.validate([good, bad], stream=False)
    assert first.verdict == "accepted"
    assert (second.verdict, second.findings[0].clause) == ("refused", "TOP-02")
    with pytest.raises(EnvelopeError):
        validation.validate([{"topic": "x"}])


def test_a_users_broker_is_read_and_left_as_it_was():
    samples = Samples(CONTRACT, seed=1)
    with brokers.provision("nats", domains=CONTRACT.domains) as broker:
        lane = broker.lane()
        with lane.observe() as observer:
            for number in range(5):
                envelope = samples.envelope(samples.record("bars", entity=0))
                headers = {**envelope.headers}
                if number == 3:
                    del headers["run_id"]
                observer.publish(envelope.topic, headers, envelope.payload)
            before = [(each.position, each.topic) for each in observer.records()]
            code, output = run("--broker", lane.url, "--subject", "ampy.dev.>", "--json")
            found = json.loads(output)
            assert code == 1
            assert found["summary"]["records"] == 5
            assert [each["clause"] for each in found["findings"]] == ["HDR-14"]
            assert [(each.position, each.topic) for each in observer.records()] == before
            assert list(observer.consumers()) == []
            code, output = run(
                "--broker", lane.url, "--subject", "ampy.dev.>", "--max-count", 2, "--json"
            )
            assert json.loads(output)["summary"]["records"] == 2
            assert run("--broker", lane.url, "--subject", "other.>")[0] == 2
