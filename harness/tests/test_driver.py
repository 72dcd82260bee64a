"""The judge's end: connecting, asking, listening, and every way of ending."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ampy_conformance import driver

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
FROZEN = f"exec:{shlex.join([sys.executable, '-S', '-E', str(HERE / 'frozen' / 'driver_v1.py')])}"
POLITE = (
    f"exec:{shlex.join([sys.executable, '-S', '-E', str(HERE / 'hostile' / 'peer.py')])} polite"
)
PAYLOAD = "QUJD"
RECORD = {"topic": "t", "schema_fqdn": "a.B", "payload": PAYLOAD, "key": {}}
LIMIT = 20.0


@pytest.fixture
def frozen() -> Iterator[driver.Driver]:
    """Connect the frozen driver and shake hands."""
    with driver.connect(FROZEN) as peer:
        peer.hello("contract", "1", "digest")
        yield peer


# -- connecting -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connectable", "says"),
    [
        (
            "pigeon",
            "there is no driver 'pigeon': use mem, kafka, nats, raw-kafka, raw-mem, raw-nats, ampy-bus-python, ampy-bus-go, ampy-bus-go-kafka, exec:COMMAND",
        ),
        ("", "there is no driver ''"),
        ("exec:", "there is no driver 'exec:'"),
        ("exec:'unclosed", r"no readable command line \(no closing quotation\): check its quotes"),
        ("exec:/no/such/driver --x", "there is no program '/no/such/driver'"),
        ("py:module", "not of the form py:package.module:Class"),
        ("py:a b:C", "not of the form py:package.module:Class"),
        ("tcp:localhost", "not of the form tcp:HOST:PORT"),
        ("tcp:localhost:70000", "not of the form tcp:HOST:PORT"),
        ("ftp:server", "'ftp' is no way to reach a driver: use exec:COMMAND"),
    ],
)
def test_what_cannot_be_a_driver_is_refused_with_a_remedy(connectable: str, says: str) -> None:
    with pytest.raises(driver.DriverNotFound, match=says) as error:
        driver.connect(connectable)
    assert error.value.exit_code == 2
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(driver.DriverNotFound, match="is a folder: name the program in it"):
        driver.connect(f"exec:{tmp_path}")


def test_a_file_that_is_not_executable_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "driver"
    path.write_text("print()\n")
    with pytest.raises(driver.DriverNotFound, match="is not executable: chmod"):
        driver.connect(f"exec:{path}")
    path.chmod(0o755)
    with pytest.raises(driver.DriverNotFound, match=r"cannot be started .*name its interpreter"):
        driver.connect(f"exec:{path}")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_package.driver:Driver", "No module named 'no_such_package'"),
        ("json.decoder:Driver", "has no attribute 'Driver'"),
    ],
)
def test_a_class_that_is_not_there_is_no_driver(name: str, says: str) -> None:
    peer = driver.connect(f"py:{name}")
    with pytest.raises(driver.DriverNotFound, match=says):
        peer.hello("contract", "1", "digest")
    assert peer.exit_code is not None


def test_nobody_at_the_other_end_is_told_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(driver.DriverNotFound, match=f"nobody answers at tcp:127.0.0.1:{port}"):
        driver.connect(f"tcp:127.0.0.1:{port}")


def test_arguments_reach_the_driver_as_given_and_no_shell_sees_them(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text("import sys\nprint(*sys.argv[1:], sep='|', file=sys.stderr)\n")
    command = shlex.join([sys.executable, str(script), "two words", "$HOME", "; exit 1", "*"])
    peer = driver.connect(f"exec:{command}")
    with pytest.raises(driver.DriverDied):
        peer.hello("contract", "1", "digest")
    assert peer.stderr_tail() == "two words|$HOME|; exit 1|*"


def test_the_environment_is_ours_without_what_belongs_to_pytest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "driver.py"
    script.write_text(
        "import os, sys\n"
        "names = sorted(k for k in os.environ if k.startswith(('PYTEST', 'PYTHON', 'AMPY')))\n"
        "print(*(f'{n}={os.environ[n]}' for n in names), sep='\\n', file=sys.stderr)\n"
    )
    for name in [each for each in os.environ if each.startswith(("PYTHON", "AMPY"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--boom")
    monkeypatch.setenv("AMPY_A", "ours")
    peer = driver.connect(
        f"exec:{shlex.join([sys.executable, str(script)])}", env={"AMPY_B": "added"}
    )
    with pytest.raises(driver.DriverDied):
        peer.hello("contract", "1", "digest")
    assert peer.stderr_tail().splitlines() == [
        "AMPY_A=ours",
        "AMPY_B=added",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
    ]


# -- the frozen driver ------------------------------------------------------------------------


def test_a_driver_of_the_first_day_goes_on_working(frozen: driver.Driver) -> None:
    heard: list[Any] = []
    both = threading.Event()

    def listen(frame: Any) -> None:
        verdict = {"delivery": frame["delivery"], "verdict": "ack"}
        answer = frozen.request("settle", subscription="s1", verdicts=[verdict])
        heard.append((frame["payload"], answer["results"][0]["recorded"]))
        if len(heard) == 2:
            both.set()

    assert frozen.check_clock().trusted
    names = {"stream": "s", "dlq_stream": "d"}
    frozen.request("open", bus="b1", url="mem://", env="dev", state_dir="/tmp", names=names)  # noqa: S108 (only sent)
    frozen.request(
        "open_producer", bus="b1", producer="p1", name="n@1", source="src", run_id="run_1"
    )
    answer = frozen.request("publish", producer="p1", records=[RECORD, RECORD])
    assert [each["message_id"] for each in answer["results"]] == ["m1", "m2"]
    frozen.on_event("s1", listen)
    frozen.request(
        "subscribe",
        bus="b1",
        subscription="s1",
        pattern=">",
        group="g",
        member="m",
        start="earliest",
        credit=10,
    )
    assert both.wait(LIMIT)
    assert heard == [(PAYLOAD, True)] * 2
    with pytest.raises(driver.DriverRefused, match="unsupported") as error:
        frozen.request("metrics")
    assert error.value.definite
    assert (error.value.op, error.value.code) == ("metrics", "unsupported")
    frozen.request("unsubscribe", subscription="s1")
    frozen.request("close", bus="b1")
    assert frozen.stop() == 0


def test_hello_tells_who_is_there(frozen: driver.Driver) -> None:
    hello = frozen.hello("contract", "1", "digest")
    assert (hello.broker, hello.protocol, hello.clock) == ("memory", 1, "monotonic")
    assert hello.profiles == ("core", "delivery")
    assert hello.capabilities == ("durable_state",)


def subscribe(peer: driver.Driver, handle: str) -> None:
    """Let the frozen driver deliver its whole log to `handle`."""
    peer.request(
        "subscribe",
        bus="b1",
        subscription=handle,
        pattern=">",
        group="g",
        member="m",
        start="earliest",
        credit=10,
    )


def subscribe_until_it_ends(peer: driver.Driver) -> None:
    """Let the log be delivered again and again until the driver is ended."""
    while True:
        subscribe(peer, "s1")


def test_early_events_wait_for_their_listener_and_keep_their_order(frozen: driver.Driver) -> None:
    for _ in range(4):
        frozen.request("publish", producer="p1", records=[RECORD] * 1000)
    subscribe(frozen, "s1")
    heard: list[str] = []
    last = threading.Event()

    def listen(frame: Any) -> None:
        heard.append(frame["delivery"])
        if len(heard) == 4000:
            last.set()

    frozen.on_event("s1", listen)
    assert last.wait(LIMIT)
    assert heard == [f"d{number}" for number in range(1, 4001)]


def test_a_listener_that_fails_ends_the_driver_and_is_told(frozen: driver.Driver) -> None:
    def listen(_: Any) -> None:
        raise KeyError("oops")

    frozen.on_event("s1", listen)
    frozen.request("publish", producer="p1", records=[RECORD])
    with pytest.raises(driver.DriverError, match="the suite's listener failed: KeyError"):
        subscribe_until_it_ends(frozen)


def test_a_request_that_breaks_the_schema_is_not_sent(frozen: driver.Driver) -> None:
    with pytest.raises(ValueError, match="credit request: n: 0 is less than 1"):
        frozen.send("credit", subscription="s1", n=0)
    assert frozen.request("clock")["t_ns"] > 0


# -- ends -------------------------------------------------------------------------------------


def test_a_kill_is_ours_and_reads_what_was_said_before(frozen: driver.Driver) -> None:
    frozen.request("publish", producer="p1", records=[RECORD] * 500)
    heard: list[str] = []
    frozen.on_event("s1", lambda frame: heard.append(frame["delivery"]))
    subscribe(frozen, "s1")
    frozen.kill()
    # The answer to subscribe comes after the deliveries: all of them had been written.
    assert len(heard) == 500
    assert frozen.exit_code == -9
    frozen.check()  # it was us
    with pytest.raises(driver.DriverDied, match="was killed by the harness"):
        frozen.request("clock")
    frozen.kill()  # again is no error


def test_respawn_is_the_same_driver_one_incarnation_later(frozen: driver.Driver) -> None:
    first = frozen.pid
    with frozen.respawn() as again:
        assert not frozen.alive
        assert again.hello("contract", "1", "digest").identity["name"] == "frozen"
        assert (frozen.incarnation, again.incarnation) == (0, 1)
        assert again.pid != first


def test_a_paused_driver_answers_when_it_goes_on(frozen: driver.Driver) -> None:
    frozen.pause()
    stamp = time.monotonic_ns()
    pending = frozen.send("clock", timeout_ms=2000)
    assert not pending.wait(0.2)
    stamp = time.monotonic_ns()
    frozen.resume()
    assert pending.result()["t_ns"] > stamp


def test_a_paused_driver_can_be_killed_and_stopped() -> None:
    for end in (driver.Driver.kill, driver.Driver.stop):
        peer = driver.connect(FROZEN)
        peer.hello("contract", "1", "digest")
        peer.pause()
        end(peer)
        assert peer.exit_code == (-9 if end is driver.Driver.kill else 0)


def test_a_driver_outlives_the_thread_that_started_it() -> None:
    found: list[driver.Driver] = []
    thread = threading.Thread(target=lambda: found.append(driver.connect(FROZEN)))
    thread.start()
    thread.join()
    with found[0] as peer:
        peer.hello("contract", "1", "digest")
        assert peer.request("clock")["t_ns"] > 0


def test_a_driver_that_is_forgotten_dies_with_the_harness() -> None:
    code = (
        "from ampy_conformance import driver\n"
        f"peer = driver.connect({FROZEN!r})\n"
        "peer.hello('contract', '1', 'digest')\n"
        "print(peer.pid, flush=True)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True
    )
    deadline = time.monotonic() + LIMIT
    stat = Path(f"/proc/{int(run.stdout)}/stat")
    while stat.exists() and stat.read_text("utf-8").rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "the driver is an orphan"


def test_drivers_are_independent() -> None:
    with driver.connect(POLITE) as one, driver.connect(POLITE) as other:
        for each in (one, other):
            each.hello("contract", "1", "digest")
        one.kill()
        assert other.request("clock")["t_ns"] > 0


def test_requests_may_come_from_many_threads(frozen: driver.Driver) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(frozen.request("clock")["t_ns"] for _ in range(50))
        )
        for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(LIMIT)
    assert len(found) == 400


# -- tcp --------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[str]:
    """Serve one driver on a local port, as its author would under a debugger."""
    line = [sys.executable, "-P", "-m", "ampy_conformance.kit"]
    line += ["py:ampy_conformance.mutants.peers:AckEverything", "--listen", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        yield process.stderr.readline().decode().rpartition(" ")[2].strip()
        process.kill()


def test_an_attached_driver_works_but_cannot_be_killed(listening: str) -> None:
    peer = driver.connect(listening)
    hello = peer.hello("contract", "1", "digest")
    assert hello.identity["name"] == "peer"
    assert peer.check_clock().trusted
    assert not peer.can_kill
    with pytest.raises(driver.CapabilityMissing, match="SIGSTOP"):
        peer.pause()
    with pytest.raises(driver.CapabilityMissing, match="cannot be killed"):
        peer.kill()
    assert not peer.alive
    peer.kill()  # it is gone already


def test_an_attached_driver_can_be_stopped(listening: str) -> None:
    peer = driver.connect(listening)
    peer.hello("contract", "1", "digest")
    assert peer.stop() is None
    peer.check()
