"""Load runs from end to end, on peers whose latency is known, and on what is no load at all."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from ampy_conformance import contract as contracts
from ampy_conformance._layout import room
from ampy_conformance.broker import BrokerError
from ampy_conformance.driver import DriverError, ProtocolViolation, aliases
from ampy_conformance.driver.errors import DriverUnavailable
from ampy_conformance.load import run as runs
from ampy_conformance.load.exceedance import LOST, percentile
from ampy_conformance.load.run import Shape
from ampy_conformance.load.verdict import Outcome
from ampy_conformance.report import lines
from ampy_conformance.suite import loading
from ampy_conformance.suite.loading import (
    BINDING,
    CONTROL,
    Loading,
    Wish,
    silent,
)
from ampy_conformance.suite.session import Options, Session
from ampy_conformance.suite.verdicts import Inconclusive, NotClaimed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.load.run import Latency
    from ampy_conformance.load.verdict import Decision

SYNTHETIC = "py:ampy_conformance.bindings.synthetic:"


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented latencies do not depend on the machine; its state is tested in test_load.py."""
    monkeypatch.setattr("ampy_conformance.load.probe.LATE_NS", 10**12)
    monkeypatch.setattr("ampy_conformance.load.probe.HUNGRY", 100.0)
    # An invented control needs no broker either, and keeps every limit.
    monkeypatch.setitem(loading.CONTROLS, "memory", f"{SYNTHETIC}Constant")


def load(peer: str, **wish: Any) -> tuple[Latency, list[dict[str, Any]]]:
    session = Session(contracts.load(), Options(driver=f"{SYNTHETIC}{peer}", seed=11))
    told: list[dict[str, Any]] = []
    try:
        return Loading(session, Wish(glance=True, **wish), silent, told.append).latency(), told
    finally:
        session.close()


def decided(found: Latency, clause: str) -> Decision:
    decision = found.of(clause)
    assert decision is not None
    return decision


@pytest.mark.slow
@pytest.mark.parametrize(
    ("peer", "outcomes"),
    [
        ("Constant", (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)),  # too short for a pass
        ("Slow", (Outcome.FAIL, Outcome.INCONCLUSIVE)),
        ("Blocking", (Outcome.FAIL, Outcome.FAIL)),
        ("Lossy", (Outcome.FAIL, Outcome.FAIL)),
        ("StalledOnce", (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)),
    ],
)
def test_the_verdict_is_the_one_that_the_peer_deserves(
    peer: str, outcomes: tuple[Outcome, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Shape, "glance", classmethod(lambda cls: cls(2.1, 0.1, 0.3, 1, 2, quick=True))
    )
    found, told = load(peer, rate=400.0)
    assert tuple(decided(found, each).outcome for each in ("SLO-01", "SLO-02")) == outcomes
    if peer == "Constant":
        assert "too short to decide" in decided(found, "SLO-01").reason
    if peer == "Lossy":
        assert "never delivered" in decided(found, "SLO-01").reason
    root = json.loads((room("schemas") / "report.json").read_text("utf-8"))
    jsonschema.validate({"kind": "load", **json.loads(json.dumps(told[0]))}, root)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("peer", "outcome", "says"),
    [
        ("Stored", Outcome.PASS, ""),
        ("Constant", Outcome.INCONCLUSIVE, r"stamps: (\d+) of \1 records .* are not in the log"),
    ],
)
def test_a_long_enough_look_passes_whose_records_are_in_the_log(
    monkeypatch: pytest.MonkeyPatch, peer: str, outcome: Outcome, says: str
) -> None:
    monkeypatch.setattr(
        Shape, "glance", classmethod(lambda cls: cls(20.5, 0.2, 0.5, 1, 2, quick=True))
    )
    found, _ = load(peer, rate=100.0)
    assert decided(found, "SLO-01").outcome is outcome
    assert re.match(says, decided(found, "SLO-01").reason)


def test_what_a_blocked_sender_hides_is_seen() -> None:
    """From the actual send every record is quick; from the intended time most are late."""
    found, _ = load("Blocking", rate=200.0)
    one = found.by_side(BINDING)[0]
    assert percentile(one.from_actual(), 0.99) < 5_000_000
    pairs = sorted(each for _, each in runs.counted(one))
    assert percentile(pairs, 0.99) > 400_000_000
    assert decided(found, "SLO-01").binding.share > 0.4


def test_latency_is_told_as_it_was_invented() -> None:
    found, told = load("Slow", rate=200.0)
    assert told[0]["quantiles_ms"][BINDING]["0.5"] == 60.0
    assert told[0]["quantiles_ms"][BINDING]["1"] == 60.0
    assert told[0]["quantiles_ms"][CONTROL]["0.99"] == 10.0
    sides = [each["side"] for each in told[0]["stretches"]]
    assert sides[:4] == [BINDING, CONTROL, CONTROL, BINDING]
    assert len(found.stretches) == 8, "a failure is confirmed by a round of its own"


@pytest.mark.parametrize(
    ("peer", "says"),
    [
        ("Skewed", r"the driver's clock is [\d.]+ ms ahead of ours"),
        ("Backwards", "answered before it was made"),
        ("Prophetic", "delivered before it was sent"),
        ("Eager", "sent before it was due"),
        ("Unsent", "delivered, and none such was sent"),
        ("Ancient", "stamped before the load"),
    ],
)
def test_stamps_that_cannot_be_decide_nothing(peer: str, says: str) -> None:
    with pytest.raises(Inconclusive, match=f"^clock: .*{says}"):
        load(peer, rate=200.0)


@pytest.mark.parametrize(
    ("peer", "says"),
    [
        ("Nonsense", "none of the plan's"),
        ("Ragged", "not of one length"),
        ("Fractional", "are no integers"),
    ],
)
def test_nonsense_is_a_violation_of_the_protocol(peer: str, says: str) -> None:
    with pytest.raises(ProtocolViolation, match=says):
        load(peer, rate=200.0)


def test_samples_that_never_come_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ampy_conformance.load.side.SLACK", 1.0)
    with pytest.raises(DriverError, match="its samples did not come"):
        load("Silent", rate=200.0)


PEERS = """
from ampy_conformance.bindings.synthetic import Constant
from ampy_conformance.kit import Refused

class Earliest(Constant):
    async def subscribe(self, frame):
        if frame["start"] != "earliest":
            raise Refused("unsupported", "groups begin with the first record")
        return await super().subscribe(frame)

class Never(Constant):
    async def subscribe(self, frame):
        raise Refused("unsupported", "no groups here")

class Denied(Earliest):
    async def subscribe(self, frame):
        if frame["start"] != "earliest":
            raise Refused("denied", "not for you")
        return await super().subscribe(frame)
"""


@pytest.mark.parametrize(
    ("peer", "says"), [("Earliest", ""), ("Never", "no groups here"), ("Denied", "not for you")]
)
def test_a_binding_that_can_only_begin_with_the_first_record_is_loaded(
    tmp_path: Path, peer: str, says: str
) -> None:
    (tmp_path / "peers.py").write_text(PEERS)
    host = f"exec:{sys.executable} -m ampy_conformance.kit py:{tmp_path / 'peers.py'}:{peer}"
    session = Session(contracts.load(), Options(driver=host, seed=11))
    try:
        loading_ = Loading(session, Wish(glance=True, rate=100.0), silent, lambda _: None)
        if says:
            with pytest.raises(DriverError, match=says):
                loading_.latency()
            return
        found = loading_.latency()
        assert found.by_side(BINDING)[0].latency
        assert not any(each == LOST for each in found.by_side(BINDING)[0].latency)
    finally:
        session.close()


@pytest.mark.slow
@pytest.mark.parametrize("alias", ["ampy-bus-python", "ampy-bus-go"])
def test_the_published_bindings_are_put_under_load(alias: str) -> None:
    try:
        aliases.resolve(alias)
    except DriverUnavailable as error:
        pytest.skip(f"it cannot be made ready here: {error}")
    done = conform(
        "load", alias, "--quick", "--only", "latency", "--rate", "60", "--seed", "3", "--json"
    )
    assert done.returncode == 6, done.stderr  # so short a look passes nobody
    (run,) = json.loads(done.stdout)["loads"]
    mine = [each for each in run["stretches"] if each["side"] == "binding"]
    assert all(each["records"] > 100 and not each["lost"] for each in mine)
    assert all(0 < each["quantiles_ms"]["0.5"] < 1000 for each in mine)


def test_a_driver_without_load_plan_does_not_claim_it() -> None:
    session = Session(
        contracts.load(), Options(driver="py:ampy_conformance.mutants.peers:AckEverything", seed=1)
    )
    try:
        with pytest.raises((NotClaimed, Inconclusive, DriverError)):
            Loading(session, Wish(glance=True), silent).latency()
    finally:
        session.close()


@pytest.fixture
def real_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loading.CONTROLS, "memory", "raw-mem")


@pytest.fixture
def nats_session() -> Iterator[Session]:
    session = Session(contracts.load(), Options(driver="nats", seed=5))
    yield session
    session.close()


def test_a_broker_that_dies_is_an_error_and_no_verdict(nats_session: Session) -> None:
    broker = nats_session.broker
    assert broker is not None
    begun = threading.Event()

    def tell(what: str, seconds: float) -> None:  # noqa: ARG001
        if what.startswith("round"):
            begun.set()

    def strike() -> None:
        begun.wait(60)
        time.sleep(1.5)
        broker.kill()

    striker = threading.Thread(target=strike)
    striker.start()
    loading_ = Loading(nats_session, Wish(glance=True, rate=100.0, mix=((300, 1.0),)), tell)
    with pytest.raises(BrokerError, match="ended during the load"):
        loading_.latency()
    striker.join()


@pytest.mark.slow
def test_who_says_yes_and_stores_nothing_fails_the_throughput() -> None:
    done = conform(
        "load", f"{SYNTHETIC}Constant", "--quick", "--only", "throughput", "--seed", "4", "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (line,) = json.loads(done.stdout)["loads"]
    assert line["outcome"] == "fail"
    assert "are not in the log" in line["reason"]
    assert line["rates"]["control"]["verified"] == line["rates"]["control"]["acknowledged"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("real_control")
def test_what_is_acknowledged_is_found_in_the_log(nats_session: Session) -> None:
    """Positive control of the throughput: real records, through a real broker, on both sides."""
    found = Loading(nats_session, Wish(glance=True, in_flight=64), silent).throughput()
    for side in (BINDING, CONTROL):
        assert found.acknowledged[side] > 100
        assert found.verified[side] == found.acknowledged[side]
        assert len(found.windows[side]) == 4
        low, high = found.interval(side, 1)[1:]
        assert 0 < low <= high


def conform(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ampy_conformance", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_verb_tells_and_keeps_a_report(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    done = conform(
        "load", "mem", "--quick", "--only", "latency", "--rate", "50", "--seed", "4",
        "--domains", "orders,bars", "--report", str(path), "--json",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert done.returncode == found["exit"] in (1, 6)
    assert {each["clause"] for each in found["loads"][0]["limits"]} == {"SLO-01", "SLO-02"}
    report = lines.read(path)
    assert report.loads[0]["seed"] == 4
    assert report.end["exit"] == done.returncode


@pytest.mark.slow
def test_a_replay_beside_the_load_can_be_had_alone() -> None:
    done = conform(
        "load", "mem", "--quick", "--only", "replay", "--rate", "50", "--seed", "4",
        "--domains", "orders,bars", "--json",
    )  # fmt: skip
    (line,) = json.loads(done.stdout)["loads"]
    assert (line["what"], line["replayed"] > 0) == ("replay", True)
    assert {each["clause"] for each in line["limits"]} == {"SLO-01", "SLO-02"}


@pytest.mark.slow
def test_a_rate_that_the_machine_cannot_offer_decides_nothing() -> None:
    """No Python process moves so many records: the raw client beside the binding shows it."""
    done = conform(
        "load", "mem", "--quick", "--only", "latency", "--rate", "60000", "--seed", "4",
        "--domains", "orders", "--json",
    )  # fmt: skip
    assert done.returncode == 6, done.stderr
    (run,) = json.loads(done.stdout)["loads"]
    (limit,) = run["limits"]
    assert limit["outcome"] == "inconclusive"
    assert limit["reason"].startswith("environment: ")
    assert limit["binding"]["share"] > 0.5
    assert max(each["achieved"] for each in run["stretches"]) < 0.9


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--domains", "news"), "'news' has no limit of latency"),
        (("--mix", "5:1"), "is no SIZE:WEIGHT"),
        (("--duration", "1"), "not in the range"),
        (("--quick", "--duration", "60"), "leave --duration out"),
        (("--report", "/nowhere/at/all.jsonl"), "create it first"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_in_one_sentence(
    arguments: tuple[str, ...], says: str
) -> None:
    done = conform("load", "mem", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_load_leaves_no_process(tmp_path: Path) -> None:
    with (tmp_path / "err").open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "ampy_conformance", "load", "mem", "--quick"],
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
        )
    deadline = time.monotonic() + 60
    while b"round 1" not in (tmp_path / "err").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60)
    deadline = time.monotonic() + 20
    while _members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _members(process.pid)


def _members(session: int) -> list[Path]:
    return [each for each in Path("/proc").glob("[0-9]*/stat") if _session(each) == session]


def _session(path: Path) -> int:
    try:
        return int(path.read_text("ascii", "replace").rpartition(")")[2].split()[3])
    except (OSError, IndexError, ValueError):
        return -1
