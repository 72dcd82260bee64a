"""The speed of the suite, as ratios to what cannot be avoided."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from ampy_conformance import contract as contracts
from ampy_conformance._layout import room
from ampy_conformance.bindings.builder import EnvelopeBuilder, Identity
from ampy_conformance.contract import payloads
from ampy_conformance.contract.lint import Linter
from ampy_conformance.contract.samples import Samples, message_of
from ampy_conformance.driver import connect
from ampy_conformance.history import properties
from ampy_conformance.report import lines

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = 2000
CONTRACT = contracts.load()
CPU, WALL = time.process_time, time.perf_counter


@pytest.fixture(scope="module", autouse=True)
def calm():
    """Collect no garbage in between: it would hit either side by chance."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture(scope="module")
def samples() -> list[Any]:
    """Return samples of all domains with a payload."""
    made = Samples(CONTRACT, seed=1)
    domains = [name for name, each in CONTRACT.domains.items() if each.payloads]
    return [made.record(domains[n % len(domains)]) for n in range(RECORDS)]


@pytest.fixture(scope="module")
def envelopes(samples):
    """Return a valid envelope of each sample."""
    made = Samples(CONTRACT, seed=1)
    return [made.envelope(each) for each in samples]


def test_build_over_protobuf_encoding(ratio, samples):
    """Build envelopes; the yardstick encodes their payloads, and does nothing else."""
    builder = EnvelopeBuilder(CONTRACT, Identity("bench@1", "bench", "run"))
    messages = [message_of(CONTRACT, each) for each in samples]
    records = [
        {
            "topic": each.topic,
            "schema_fqdn": each.schema_fqdn,
            "payload": each.payload,
            "key": each.key,
            "dedupe_key": each.dedupe_key,
        }
        for each in samples
    ]

    def build() -> None:
        for each in records:
            builder.build(each)

    def encode() -> None:
        for each in messages:
            each.SerializeToString()

    ratio(build, encode, clock=CPU)


def test_validate_over_protobuf_decoding(ratio, envelopes):
    """Judge envelopes wholly; the yardstick decodes their payloads."""
    ratio(judge(envelopes), decode(envelopes), clock=CPU)


def test_validate_over_bare_jsonschema(ratio, envelopes):
    """Judge envelopes wholly; the yardstick puts their headers through jsonschema."""
    schema = json.loads((room("schemas") / "headers.json").read_text("utf-8"))
    few = [dict(each.headers) for each in envelopes[:100]]
    validator = Draft202012Validator(schema)

    def bare() -> None:
        for each in few:
            validator.is_valid(each)

    ratio(judge(envelopes), bare, clock=CPU, times=len(few) / len(envelopes))


def judge(envelopes: list[Any]) -> Callable[[], None]:
    """Return what judges all envelopes."""
    linter = Linter(CONTRACT)

    def work() -> None:
        for each in envelopes:
            assert not linter.examine(each).findings

    return work


def decode(envelopes: list[Any]) -> Callable[[], None]:
    """Return what decodes all payloads."""
    types = payloads.types(CONTRACT)

    def work() -> None:
        for each in envelopes:
            types.decode(each.headers["schema_fqdn"], each.payload)

    return work


# -- the driver protocol ----------------------------------------------------------------

ECHO = "import os\nwhile data := os.read(0, 65536):\n    os.write(1, data)"  # lines come back as they are
LINE = b'{"id":123,"op":"clock"}\n'
TURNS, FRAMES, ECHOES = 300, 2000, 10


def cpu_with(*pids: int) -> Callable[[], float]:
    """Return a clock of the CPU seconds of this process and the first threads of others.

    Two processes that wake one another show the scheduler's moods on a wall clock.
    """
    paths = [Path(f"/proc/{each}/schedstat") for each in pids]
    if not all(each.exists() for each in paths):
        return WALL

    def clock() -> float:
        theirs = sum(int(each.read_text().split()[0]) for each in paths)
        return CPU() + theirs / 1e9

    return clock


@pytest.fixture
def driver():
    """A reference driver in its own process."""
    found = connect("mem")
    found.hello(CONTRACT.name, CONTRACT.version, CONTRACT.digest)
    yield found
    found.stop()


@pytest.fixture
def pipe():
    """A process that echoes what it is sent."""
    with subprocess.Popen(
        [sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as echo:
        yield echo
        echo.stdin.close()


def test_round_trip_over_bare_pipe(ratio, driver, pipe):
    """Ask a driver for its clock, again and again; the yardstick has a line echoed."""
    out, back = pipe.stdin.fileno(), pipe.stdout.fileno()

    def frames() -> None:
        for _ in range(TURNS):
            driver.request("clock")

    def echoes() -> None:
        for _ in range(TURNS * ECHOES):
            os.write(out, LINE)
            os.read(back, 65536)

    ratio(frames, echoes, clock=cpu_with(driver.pid, pipe.pid), times=ECHOES)


def test_pipelined_over_bare_pipe(ratio, driver, pipe):
    """Ask a driver for its clock without waiting; the yardstick has as many lines echoed."""
    out, back = pipe.stdin.fileno(), pipe.stdout.fileno()

    def frames() -> None:
        for each in [driver.send("clock") for _ in range(FRAMES)]:
            each.result()

    def echoes() -> None:
        left = 0
        for number in range(FRAMES):
            os.write(out, LINE)
            left += len(LINE)
            if number % 500 == 499:  # what a pipe holds is bounded
                while left:
                    left -= len(os.read(back, 65536))

    ratio(frames, echoes, clock=cpu_with(driver.pid, pipe.pid))


# -- histories and reports --------------------------------------------------------------

HISTORY_RECORDS = 8000


def events() -> list[dict[str, Any]]:
    """Return the events of records that were published, handled and found in the log."""
    found: list[dict[str, Any]] = []
    for n in range(HISTORY_RECORDS):
        base = {
            "case": f"case {n // 1000}",
            "producer": "p",
            "uid": f"p/{n}",
            "pseq": n,
            "topic": f"ampy.dev.bars.v1.XNAS.S{n % 64}",
            "key": f"k{n % 64}",
            "body_hash": f"b{n}",
            "message_id": f"m{n}",
        }
        hand = {"group": "g", "subscription": "s", "delivery": f"d{n}"}
        place = {"position": str(n + 1)}
        steps: list[tuple[str, dict[str, Any]]] = [
            ("invoke", {}),
            ("ok", {}),
            ("deliver", {**hand, **place, "attempt": 1}),
            ("effect", hand),
            ("settled", {**hand, "detail": {"recorded": True, "stream": "S"}}),
            ("audit", {**place, "detail": {"recorded": False, "stream": "S"}}),
        ]
        for kind, more in steps:
            seq = len(found)
            detail = {"recorded": False, "stream": "S"}
            found.append(
                {**base, "kind": kind, "seq": seq, "t_ns": seq * 1000, "detail": detail, **more}
            )
    return found


def test_check_over_scan(ratio, tmp_path: Path):
    """Judge a history by all properties; the yardstick reads two of its columns."""
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in events()), "utf-8")
    rules = properties.load(CONTRACT)
    columns = "columns = {kind: 'VARCHAR', body_hash: 'VARCHAR'}"
    read = f"read_json('{path}', format = 'newline_delimited', {columns})"

    def check() -> None:
        connection = properties.open_history(CONTRACT, path)
        properties.judge(connection, rules)
        connection.close()

    def scan() -> None:
        connection = properties.duckdb().connect()
        query = f"SELECT count(*), max(kind), max(length(body_hash)) FROM {read}"
        connection.execute(query).fetchall()
        connection.close()

    ratio(check, scan, clock=CPU, rounds=5)


def test_report_over_plain_writing(ratio, tmp_path: Path):
    """Write a report of many cases; the yardstick writes the same lines, made before."""
    case = {"case": "c" * 40, "clause": "ORD-01", "outcome": "passed", "evidence": ["e" * 80] * 4}
    made = json.dumps({"kind": "case", **case}).encode() + b"\n"

    def report() -> None:
        writer = lines.Writer(tmp_path / "report.jsonl")
        for _ in range(RECORDS):
            writer.write("case", **case)
        writer.end()

    def plain() -> None:
        with (tmp_path / "plain").open("wb") as stream:
            for _ in range(RECORDS):
                stream.write(made)
                stream.flush()

    ratio(report, plain, clock=CPU)


# -- a whole certification --------------------------------------------------------------

START = "import ampy_conformance.suite.session, ampy_conformance.bindings.memory_driver"
STARTS = 4


def test_certification_over_starting_python(ratio, tmp_path: Path):
    """Certify one group on the memory broker; the yardstick starts Python with our modules."""
    command = [sys.executable, "-m", "ampy_conformance", "certify", "mem", "--group", "KEY"]

    def certify() -> None:
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)

    def start() -> None:
        for _ in range(STARTS):
            subprocess.run([sys.executable, "-c", START], cwd=tmp_path, check=True)

    ratio(certify, start, clock=WALL, rounds=3)
