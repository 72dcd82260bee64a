"""The kit for authors of Python drivers: the protocol done for them, mistakes told to them."""

from __future__ import annotations

import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ampy_conformance import driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[[str], driver.Driver]

HEAD = """
import asyncio, os, sys, threading, time
from ampy_conformance.kit import Driver as Base, Refused, from_base64, to_base64, serve

class Kit(Base):
    identity = {"name": "kit", "version": "2", "language": "python", "broker": "nats"}
"""
RECORD = {"topic": "t", "schema_fqdn": "a.B", "payload": "QUJD", "key": {}}
OPEN = {"url": "nats://", "env": "dev", "state_dir": "/state", "names": {}}
LIMIT = 20.0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that hosts a driver whose class has this body."""
    started: list[driver.Driver] = []

    def run(body: str) -> driver.Driver:
        text = HEAD + textwrap.indent(textwrap.dedent(body), "    ")
        (tmp_path / "authors_driver.py").write_text(text, "utf-8")
        environment = {"PYTHONPATH": str(tmp_path)}
        peer = driver.connect("py:authors_driver:Kit", env=environment, stderr_tail=200)
        started.append(peer)
        peer.hello("contract", "1", "digest")
        return peer

    yield run
    for each in started:
        each.close()


def test_the_handshake_the_clock_and_stop_are_done_by_the_base(start: Start) -> None:
    peer = start("profiles = ('core', 'delivery')\ncapabilities = ('durable_state',)")
    hello = peer.hello("contract", "1", "digest")
    assert hello.identity["version"] == "2"
    assert hello.broker == "nats"
    assert hello.profiles == ("core", "delivery")
    assert hello.capabilities == ("durable_state",)
    assert peer.check_clock().trusted
    assert peer.stop() == 0


def test_what_is_not_written_is_unsupported(start: Start) -> None:
    peer = start("")
    wanted: dict[str, dict[str, Any]] = {
        "metrics": {},
        "close": {"bus": "b"},
        "publish": {"producer": "p", "records": [RECORD]},
    }
    for op, fields in wanted.items():
        with pytest.raises(driver.DriverRefused, match=f"this driver has no {op}") as error:
            peer.request(op, **fields)
        assert error.value.code == "unsupported"


def test_refusals_and_mistakes_become_answers(start: Start) -> None:
    peer = start("""
        async def open(self, frame):
            raise Refused("denied", "not you")
        async def close(self, frame):
            raise KeyError("x" * 9999)
        async def publish(self, frame):
            return {"results": [{"outcome": "perhaps"}]}
        async def metrics(self, frame):
            return {"text": b"bytes"}
        def lag(self, frame):
            return {"lag": 3}
        async def checkpoint(self, frame):
            return ["no", "dict"]
        async def credit(self, frame):
            raise Refused(None, "\\ud800")
    """)
    wanted: list[tuple[str, dict[str, Any], str, str]] = [
        ("open", {"bus": "b", **OPEN}, "denied", "not you"),
        ("close", {"bus": "b"}, "internal", "KeyError: 'xxx"),
        (
            "publish",
            {"producer": "p", "records": [RECORD]},
            "internal",
            r"results\[0\]\.outcome: 'perhaps'",
        ),
        ("metrics", {}, "internal", "cannot be checked .*bytes"),
        ("checkpoint", {"subscription": "s"}, "internal", "TypeError"),
        ("credit", {"subscription": "s", "n": 1}, "internal", r"\\ud800"),
    ]
    for op, fields, code, says in wanted:
        with pytest.raises(driver.DriverRefused, match=says) as error:
            peer.request(op, **fields)
        assert error.value.code == code
        assert len(error.value.message) < 600
    assert peer.request("lag", subscription="s")["lag"] == 3  # not async: taken as it is
    assert "KeyError" in peer.stderr_tail()


def test_one_producers_publishes_keep_their_order(start: Start) -> None:
    """The first call takes longest; nevertheless the second starts after its end."""
    peer = start("""
        log = []
        async def publish(self, frame):
            number = int(frame["records"][0]["topic"])
            await asyncio.sleep(0.05 / (number + 1))
            self.log.append(number)
            return {"results": [{"outcome": "ok"}]}
        async def metrics(self, frame):
            return {"text": repr(self.log)}
    """)
    batch = [
        peer.send("publish", producer="p", records=[{**RECORD, "topic": str(number)}])
        for number in range(5)
    ]
    for each in batch:
        each.result()
    assert peer.request("metrics")["text"] == "[0, 1, 2, 3, 4]"


def test_other_handles_and_other_verdicts_need_not_wait(start: Start) -> None:
    """One producer hangs and one verdict hangs: all else goes on; unsubscribe waits."""
    peer = start("""
        gate = None
        async def publish(self, frame):
            if frame["producer"] == "slow":
                self.gate = self.gate or asyncio.Event()
                await self.gate.wait()
            return {"results": [{"outcome": "ok"}]}
        async def settle(self, frame):
            delivery = frame["verdicts"][0]["delivery"]
            if delivery == "d1":
                self.gate = self.gate or asyncio.Event()
                await self.gate.wait()
            return {"results": [{"delivery": delivery, "ack": "ok"}]}
        async def unsubscribe(self, frame):
            return None
        async def metrics(self, frame):
            self.gate.set()
            return {"text": ""}
    """)

    def settle(delivery: str) -> driver.Pending:
        verdicts = [{"delivery": delivery, "verdict": "ack"}]
        return peer.send("settle", subscription="s", verdicts=verdicts)

    slow = peer.send("publish", producer="slow", records=[RECORD])
    hanging = settle("d1")
    left = peer.send("unsubscribe", subscription="other")
    peer.request("publish", producer="fast", records=[RECORD])
    settle("d2").result(LIMIT)
    left.result(LIMIT)
    after = peer.send("unsubscribe", subscription="s")
    peer.request("clock")
    assert [each.done for each in (slow, hanging, after)] == [False] * 3
    peer.request("metrics")  # opens the gate
    for each in (slow, hanging, after):
        each.result(LIMIT)


def test_events_are_checked_and_may_come_from_any_thread(start: Start) -> None:
    peer = start("""
        def deliver(self, number):
            self.emit("deliver", subscription="s", delivery=f"d{number}", topic="t",
                      headers={}, payload=to_base64(b"x"), attempt=number)
        async def subscribe(self, frame):
            self.deliver(1)
            threading.Thread(target=self.deliver, args=(2,)).start()
        async def credit(self, frame):
            self.deliver(0)
    """)
    heard: list[int] = []
    both = threading.Event()

    def listen(frame: Any) -> None:
        heard.append(frame["attempt"])
        if len(heard) == 2:
            both.set()

    peer.on_event("s", listen)
    names: dict[str, Any] = {
        "pattern": ">",
        "group": "g",
        "member": "m",
        "start": "earliest",
        "credit": 1,
    }
    peer.request("subscribe", bus="b", subscription="s", **names)
    assert both.wait(LIMIT)
    assert heard == [1, 2]
    with pytest.raises(driver.DriverRefused, match="deliver event: attempt: 0 is less than 1"):
        peer.request("credit", subscription="s", n=1)


def test_prints_of_the_binding_do_not_reach_the_frames(start: Start) -> None:
    peer = start("""
        async def metrics(self, frame):
            print("hello from the binding")
            os.write(1, b"and from below\\n")
            return {"text": ""}
    """)
    peer.request("metrics")
    peer.kill()
    assert "hello from the binding" in peer.stderr_tail()
    assert "and from below" in peer.stderr_tail()


def test_end_of_input_is_a_clean_end(start: Start, tmp_path: Path) -> None:
    """The harness is gone without a word: `stop` is called, running requests are ended."""
    mark = tmp_path / "released"
    peer = start(f"""
        async def metrics(self, frame):
            await asyncio.sleep(3600)
        async def stop(self, frame):
            open({str(mark)!r}, "w").close()
    """)
    peer.send("metrics")
    peer.request("clock")
    peer._pump.finish_input()
    peer._pump.thread.join(LIMIT)
    assert peer.exit_code == 0
    assert mark.exists()


def test_a_driver_that_does_not_say_who_it_is_is_told(start: Start) -> None:
    with pytest.raises(
        driver.DriverRefused, match="hello answer: identity: the field name is missing"
    ):
        start("identity = {}")


def test_a_class_that_cannot_be_made_says_why(start: Start) -> None:
    with pytest.raises(
        driver.DriverDied, match=r"before it answered hello(.|\n)*ZeroDivisionError"
    ):
        start("def __init__(self, emit): 1 / 0")


def test_a_module_that_cannot_be_imported_says_why(start: Start) -> None:
    with pytest.raises(driver.DriverNotFound, match="cannot be loaded: ZeroDivisionError"):
        start("x = 1 / 0")


def test_records_pass_in_batches_without_a_round_trip_each(start: Start) -> None:
    """Many frames in flight, each of many records: all answered, each by its own."""
    peer = start("""
        async def publish(self, frame):
            ids = [from_base64(each["payload"]).decode() for each in frame["records"]]
            return {"results": [{"outcome": "ok", "message_id": each} for each in ids]}
    """)
    batches = [
        peer.send(
            "publish", producer=f"p{number % 3}", records=[{**RECORD, "payload": payload}] * 100
        )
        for number in range(50)
        for payload in [["MDA=", "MDE=", "MDI="][number % 3]]
    ]
    for number, each in enumerate(batches):
        results = each.result(LIMIT)["results"]
        assert [result["message_id"] for result in results] == [f"0{number % 3}"] * 100
