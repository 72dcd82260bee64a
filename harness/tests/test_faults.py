"""Faults: names, what they reach, where toxiproxy comes from, and what a report says of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance._layout import room
from ampy_conformance.cli import cli
from ampy_conformance.faults import toxiproxy
from ampy_conformance.faults.catalogue import FAMILIES, FAULTS, chosen
from ampy_conformance.history import properties
from ampy_conformance.report import lines
from ampy_conformance.suite import faulting

CONTRACT = contracts.load()
# What ordinary cases and saved histories show, without any fault.
WITHOUT_FAULTS = {
    "both_ends", "producer_backoff", "producer_jitter", "replay_effect", "replay_extra",
    "replay_missing", "undrained",
}  # fmt: skip


def run(*arguments):
    result = CliRunner().invoke(cli, list(map(str, arguments)), standalone_mode=False)
    if isinstance(result.exception, ConformError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.output


def test_every_fault_has_a_family_and_reaches_properties_that_exist():
    assert {each.family for each in FAULTS.values()} == set(FAMILIES)
    known = {each.name for each in properties.load(CONTRACT)}
    reached = {name for each in FAULTS.values() for name in each.properties}
    assert reached <= known
    assert known - reached == WITHOUT_FAULTS


def test_every_cell_has_the_clauses_of_its_property():
    cells = faulting.cells(CONTRACT)
    assert len({str(each) for each in cells}) == len(cells)
    assert all(each.clauses for each in cells)


def test_faults_are_chosen_by_name_family_or_all():
    assert [each.name for each in chosen(["cut"])] == ["cut"]
    assert {each.family for each in chosen(["network", "cut"])} == {"network"}
    assert len(chosen(["all"])) == len(FAULTS)
    with pytest.raises(UsageError, match="no fault 'cuts'; there are process,"):
        chosen(["cut", "cuts"])


def test_unknown_faults_end_with_exit_2_before_anything_starts():
    for verb in ("certify", "campaign"):
        code, says = run(verb, "mem", "--faults", "nosuch")
        assert (code, "nosuch" in says) == (2, True)
    assert run("campaign", "mem", "--duration", "1", "--history", "nowhere/x")[0] == 2


def test_the_list_names_every_fault():
    code, output = run("campaign", "x", "--list")
    assert code == 0
    assert all(name in output for name in FAULTS)


def test_a_missing_toxiproxy_is_told_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(toxiproxy.VARIABLE, raising=False)
    with pytest.raises(toxiproxy.ToxiproxyMissing, match="install `toxiproxy-server`, or Go"):
        toxiproxy.executable()
    monkeypatch.setenv(toxiproxy.VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(toxiproxy.ToxiproxyMissing, match="which is no program"):
        toxiproxy.executable()
    program = tmp_path / "silent"
    program.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    program.chmod(0o700)
    monkeypatch.setenv(toxiproxy.VARIABLE, str(program))
    with pytest.raises(toxiproxy.ToxiproxyError, match="did not start"):
        toxiproxy.Toxiproxy()


def test_a_fault_that_needs_a_network_is_not_claimed_in_memory(tmp_path):
    report = tmp_path / "r.jsonl"
    code, _ = run("certify", "mem", "--faults", "cut", "--case", "under_fault", "--report", report)
    whole = lines.read(report)
    assert {each["outcome"] for each in whole.cases} == {"not claimed"}
    assert (code, whole.trials) == (4, ())


@pytest.mark.slow
def test_what_a_fault_comes_to_is_in_the_report(tmp_path):
    report = tmp_path / "r.jsonl"
    code, output = run(
        "certify", "mem", "--faults", "kill-after-ack", "--case", "under_fault", "--report", report
    )
    assert code == 0
    assert "kill-after-ack" in output
    schema = json.loads((room("schemas") / "report.json").read_text("utf-8"))
    for line in report.read_text("utf-8").splitlines():
        jsonschema.validate(json.loads(line), schema)
    (trial,) = lines.read(report).trials
    assert trial["fired"] > 0
    assert trial["drained"]
    assert set(trial["chances"]) >= set(FAULTS["kill-after-ack"].properties)
    assert not [n for n in trial["violations"] if n not in ("log_duplicates", "undrained")]


@pytest.mark.slow
# A campaign with `latency` takes 4.3 s at least: two of the fault, the rest of load around it.
@pytest.mark.parametrize("seconds", [2.0, 3.8], ids=["while it strikes", "afterwards"])
def test_a_proxy_that_dies_by_itself_is_no_verdict(monkeypatch, tmp_path, seconds):
    program = tmp_path / "mortal"
    real = toxiproxy.executable()
    program.write_text(f'#!/bin/sh\nexec timeout -s KILL {seconds} {real} "$@"\n', "utf-8")
    program.chmod(0o700)
    monkeypatch.setenv(toxiproxy.VARIABLE, str(program))
    report = tmp_path / "r.jsonl"
    code, _ = run(
        "certify", "nats", "--faults", "latency", "--case", "under_fault", "--report", report
    )
    _no_verdict(code, report, "toxiproxy ended by itself")


@pytest.mark.slow
def test_a_broker_that_dies_by_itself_is_no_verdict(tmp_path):
    mark = f"ampy-test-{os.getpid()}-{time.monotonic_ns()}"
    report = tmp_path / "r.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "ampy_conformance", "certify", "nats", "--report", str(report),
         "--faults", "handler-fails", "--case", "under_fault"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env={**os.environ, "AMPY_TEST_MARK": mark},
    )  # fmt: skip
    deadline = time.monotonic() + 30
    # The pooled driver and the campaign's three: records flow.
    while _marked(mark).count("ampy_conformance.kit") < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    (server,) = [pid for pid, what in _marked(mark).items() if what == "nats-server"]
    os.kill(server, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert b"Traceback" not in output
    _no_verdict(process.returncode, report, "broker")


def _no_verdict(code, report, says):
    whole = lines.read(report)
    assert code == 3
    assert {each["outcome"] for each in whole.clauses.values()} & {"pass", "fail", "warn"} == set()
    assert says in str(whole.end["trouble"]) + "".join(str(each["says"]) for each in whole.cases)


class Marked(dict):
    """Processes by id, each with what it runs."""

    def count(self, what):
        return list(self.values()).count(what)


def _marked(mark):
    found = Marked()
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() not in (each / "environ").read_bytes():
                continue
            words = (each / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        kit = b"ampy_conformance.kit" in words
        found[int(each.name)] = "ampy_conformance.kit" if kit else Path(words[0].decode()).name
    return found


@pytest.mark.parametrize("ends", [True, False])
def test_a_reset_is_seen_at_a_connection_of_our_own(ends):
    """A broker that answers at once and keeps the connection is no reset."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        kept = []

        def serve():
            link, _ = server.accept()
            link.sendall(b"INFO {}\r\n")
            if ends:
                link.close()
            else:
                kept.append(link)

        thread = threading.Thread(target=serve)
        thread.start()
        proxy = toxiproxy.Proxy(None, "p", "nats://127.0.0.1", port, b"CONNECT {}\r\n")
        assert proxy.resets(patience=0.5) is ends
        thread.join()
        for each in kept:
            each.close()
