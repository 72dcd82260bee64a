"""Drivers that break the protocol in every way: none may hang or crash the harness.

Each has to end in one clear sentence, and in nothing left behind.
"""

from __future__ import annotations

import base64
import os
import queue
import re
import shlex
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ampy_conformance import driver

if TYPE_CHECKING:
    from collections.abc import Iterator

PEER = Path(__file__).parent / "hostile" / "peer.py"
# Nothing here takes longer than Python's start; a test that hangs fails after this.
LIMIT = 20.0
RECORD = {
    "topic": "ampy.dev.bars.v1.XNAS.AAPL",
    "schema_fqdn": "ampy.bars.v1.BarBatch",
    "payload": base64.b64encode(b"top secret").decode(),
    "key": {"mic": "XNAS", "symbol": "AAPL"},
}


def start(*behaviour: str) -> driver.Driver:
    """Start a hostile peer, handshake not yet done."""
    words = [sys.executable, "-S", "-E", str(PEER), *behaviour]
    return driver.connect(f"exec:{shlex.join(words)}")


def greeted(*behaviour: str) -> driver.Driver:
    """Start a hostile peer and shake hands."""
    peer = start(*behaviour)
    peer.hello("contract", "1", "digest")
    return peer


def descriptors() -> set[str]:
    """Return what is open in this process."""
    return (
        {each.name for each in Path("/proc/self/fd").iterdir()}
        if Path("/proc/self/fd").is_dir()
        else set()
    )


def gone(pid: int) -> bool:
    """Tell whether a process is gone, or at least dead and waiting for its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Demand that a test leaves no descriptor and no thread behind, in bounded time."""
    greeted("polite").close()  # the spawning thread stays for good; it is here from now on
    before, threads = descriptors(), threading.active_count()
    started = time.monotonic()
    yield
    assert time.monotonic() - started < LIMIT
    assert descriptors() == before
    assert threading.active_count() == threads


def ask_until_it_ends(peer: driver.Driver) -> None:
    """Send requests until one raises."""
    while True:
        peer.request("metrics")


def assert_ends(peer: driver.Driver, error: pytest.ExceptionInfo[driver.DriverError]) -> None:
    """Demand that the sentence stays, is free of secrets and control characters, and all ends."""
    says = str(error.value)
    assert "top secret" not in says
    assert RECORD["payload"] not in says
    assert all(each.isprintable() or each == "\n" for each in says)
    assert not peer.alive
    with pytest.raises(type(error.value), match=re.escape(says)):
        peer.request("metrics")
    peer.close()
    assert peer.exit_code is not None


@pytest.mark.parametrize(
    ("behaviour", "kind", "says"),
    [
        (
            "banner",
            driver.ProtocolViolation,
            r"frames only: not JSON: 'Starting driver v1\.2 \\x1b",
        ),
        ("wrong_nonce", driver.ProtocolViolation, "not answered with the nonce"),
        (
            "wrong_version",
            driver.ProtocolViolation,
            "chose protocol 99, this suite speaks 1: update",
        ),
        ("nameless", driver.ProtocolViolation, "hello answer: identity: the field name is missing"),
        (
            "refuses_hello",
            driver.DriverRefused,
            "hello was refused with unsupported: protocol 2 to 3",
        ),
        (
            "dies_at_once",
            driver.DriverDied,
            r"ended \(exit code 4\) before it answered hello: run its command(.|\n)*fatal: no con",
        ),
    ],
)
def test_a_failed_handshake_says_why(
    behaviour: str, kind: type[driver.DriverError], says: str
) -> None:
    peer = start(behaviour)
    with pytest.raises(kind, match=says):
        peer.hello("contract", "1", "digest")
    # The child is gone although nobody called close.
    assert peer.exit_code is not None


def test_silence_at_the_handshake_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = start("silent_hello")
    monkeypatch.setattr(type(peer.frames), "deadline_ms", lambda *_: 300)
    with pytest.raises(driver.DriverTimeout, match=r"did not answer hello within 0\.3 s"):
        peer.hello("contract", "1", "digest")
    assert peer.exit_code is not None


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("garbage", r"not JSON: 'debug: got it\\x00\\x1b\]0;title\\x07'"),
        ("not_utf8", r"not UTF-8: '\{\"re\":2,.*\\xe9"),
        ("nul_bytes", r"not JSON: '\\x00\\x00"),
        ("utf16", "not JSON: "),
        ("deep", r"nested too deeply: '\[\["),
        ("deep_enough", r"metrics answer: cannot be checked \(Recursion limit"),
        ("a_list", r"not a JSON object: '\[1, 2\]'"),
        ("neither", "neither an answer"),
        ("empty_line", "not JSON: ''"),
        ("twice_named", "names a field twice"),
        ("not_a_number", "NaN is not JSON"),
        ("surrogate", "half a surrogate pair"),
        ("endless", "a line is longer than 8388608 bytes"),
        ("overlong", "a line is longer than 8388608 bytes"),
        ("answers_twice", "request 2 was answered twice"),
        ("unknown_id", "an answer to request 4711, which was never sent"),
        ("huge_id", "a number beyond 64 bits"),
        ("boolean_id", "re: is not an integer"),
        ("cannot_read", r"could not read a request: bad_request: what\?"),
        ("unknown_event", "there is no event 'applause'"),
        ("broken_base64", "deliver event: payload: is not base64"),
        ("floods_events", "over 10000 events for a handle that nobody asked for"),
    ],
)
def test_a_violation_is_fatal_and_named(behaviour: str, says: str) -> None:
    peer = greeted(behaviour)
    with pytest.raises(driver.ProtocolViolation, match=says) as error:
        ask_until_it_ends(peer)  # the violation may come after the answer
    assert str(error.value).startswith("protocol: ")
    assert len(str(error.value).splitlines()) == 1
    assert_ends(peer, error)


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("missing_field", "publish answer: the field results is missing"),
        (
            "wrong_outcome",
            r"publish answer: results\[0\]\.outcome: 'yes' is not one of ok, fail, info",
        ),
        ("too_few_results", "publish answer: results: has 1 items for 2 records"),
    ],
)
def test_a_wrong_answer_is_named_by_its_field(behaviour: str, says: str) -> None:
    peer = greeted(behaviour)
    with pytest.raises(driver.ProtocolViolation, match=says) as error:
        peer.request("publish", producer="p1", records=[RECORD, RECORD])
    assert_ends(peer, error)


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("half_a_line", r"ended in the middle of a line \(exit code 0\)"),
        ("killed", r"ended \(SIGSEGV\)"),
        ("closes_input", "closed its input"),
        ("closes_output", "closed its output"),
    ],
)
def test_a_death_is_told_at_once(behaviour: str, says: str) -> None:
    peer = greeted(behaviour)
    started = time.monotonic()
    with pytest.raises(driver.DriverDied, match=f"the driver {says}") as error:
        ask_until_it_ends(peer)
    assert time.monotonic() - started < peer.frames.deadline("metrics") / 2
    assert_ends(peer, error)


@pytest.mark.parametrize("behaviour", ["silence", "never_reads"])
def test_a_deadline_ends_what_never_answers(behaviour: str) -> None:
    peer = greeted(behaviour)
    records = [{**RECORD, "payload": "QUJD" * 250_000}] * 5
    first = [peer.send("publish", producer="p1", records=records) for _ in range(4)]
    with pytest.raises(
        driver.DriverTimeout, match=r"did not answer metrics within 0\.4 s"
    ) as error:
        peer.request("metrics", timeout_ms=400)
    assert all(each.done for each in first)
    assert_ends(peer, error)


def test_requests_nobody_waits_for_have_a_deadline_too() -> None:
    peer = greeted("silence")
    told: queue.Queue[object] = queue.Queue()
    peer.send("metrics", timeout_ms=200).on_done(told.put)
    assert told.get(timeout=LIMIT) is None
    with pytest.raises(driver.DriverTimeout) as error:
        peer.check()
    assert_ends(peer, error)


def test_death_in_a_batch_keeps_what_was_answered() -> None:
    peer = greeted("dies_in_batch")
    batch = [peer.send("metrics") for _ in range(5)]
    answers = [each.result() for each in batch[:2]]
    assert [each["re"] for each in answers] == [2, 3]
    for each in batch[2:]:
        with pytest.raises(driver.DriverDied, match=r"exit code 3(.|\n)*out of luck") as error:
            each.result()
    assert_ends(peer, error)


def test_everything_written_before_death_counts() -> None:
    peer = greeted("dies_after_answers")
    batch = [peer.send("metrics") for _ in range(5)]
    assert len([each.result() for each in batch]) == 5
    peer.close()


@pytest.mark.parametrize("how", ["attached", "detached"])
def test_a_child_left_behind_does_not_keep_the_driver_alive(how: str) -> None:
    peer = greeted("leaves_a_child", how)
    try:
        with pytest.raises(driver.DriverError) as error:
            ask_until_it_ends(peer)
        # What the child prints before its parent is gone counts as the driver's own.
        assert isinstance(error.value, driver.DriverDied | driver.ProtocolViolation)
    finally:
        peer.close()
        child = int(peer.stderr_tail().splitlines()[0])
        if how == "attached":
            deadline = time.monotonic() + LIMIT
            while not gone(child):  # SIGKILL is on its way
                assert time.monotonic() < deadline, "the driver's process group outlived it"
        else:
            os.kill(child, 9)


def test_answers_may_come_in_any_order() -> None:
    peer = greeted("reversed_order")
    batch = [peer.send("metrics") for _ in range(5)]
    assert [each.result()["text"] for each in batch] == ["2", "3", "4", "5", "6"]
    peer.close()


def test_a_line_of_exactly_the_limit_is_legal() -> None:
    peer = greeted("longest")
    assert len(peer.request("metrics")["text"]) > 8_000_000
    peer.close()


@pytest.mark.parametrize("behaviour", ["floods_stderr", "endless_stderr_line"])
def test_standard_error_is_bounded_and_no_error(behaviour: str) -> None:
    peer = greeted(behaviour)
    peer.request("metrics")
    peer.kill()
    lines = peer.stderr_tail().splitlines()
    assert 1 <= len(lines) <= 32
    assert max(map(len, lines)) <= 500
    assert behaviour != "floods_stderr" or lines[-1] == r"\x1b[31mlast"


def test_an_unknown_error_code_is_indefinite() -> None:
    peer = greeted("unknown_code")
    with pytest.raises(driver.DriverRefused, match="cosmic_rays: try later") as error:
        peer.request("metrics")
    assert not error.value.definite
    assert peer.alive
    peer.close()


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("clock_ahead", r"9\d{3}\.\d+ ms ahead of ours"),
        ("clock_behind", "behind ours"),
        ("clock_jumps", "ms ahead of ours"),
        ("clock_huge", "more than 1000000 s ahead of ours"),
        ("clock_refused", r"no clock \(unsupported\)"),
    ],
)
def test_a_lie_about_the_clock_costs_trust_only(behaviour: str, says: str) -> None:
    peer = greeted(behaviour)
    verdict = peer.check_clock()
    assert not verdict.trusted
    assert re.search(says, verdict.reason)
    assert verdict.reason.endswith("the harness stamps instead")
    assert peer.alive
    peer.close()


def test_a_driver_that_stays_is_ended() -> None:
    peer = greeted("stubborn")
    assert peer.stop(patience=0.3) == -9


def test_the_exit_code_after_stop_is_the_drivers_own() -> None:
    assert greeted("stops_with_7").stop() == 7
    assert greeted("polite").stop() == 0
