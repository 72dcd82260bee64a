"""Handles on the binding: what the harness numbers first is what it sends first."""

from __future__ import annotations

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from ampy_conformance import contract as contracts
from ampy_conformance.contract.samples import Samples
from ampy_conformance.history import Recorder
from ampy_conformance.suite.bus import Producer


class Wire:
    """A driver that notes in which order it was asked, and takes its time."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.pid, self.incarnation = 1, 0
        self._lock = threading.Lock()

    def request(self, op, **fields):  # noqa: ARG002 (as a driver has it)
        time.sleep(0.002)  # whoever was numbered later may overtake here
        with self._lock:
            self.sent += [each["payload"] for each in fields["records"]]
        time.sleep(0.002)
        return {"results": [{"outcome": "ok"} for _ in fields["records"]]}


def test_threads_that_share_a_producer_do_not_mix_up_the_order_of_its_keys():
    wire, history = Wire(), Recorder()
    bus = SimpleNamespace(driver=wire, history=history, actor="driver-1/0")
    producer = Producer(bus, "p1", "load@1", "conformance", "run_1")  # type: ignore[arg-type]
    samples = Samples(contracts.load(), 1)
    wanted = [[samples.record("bars", entity=0) for _ in range(2)] for _ in range(40)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: producer.publish(*each), wanted))
    numbered = [each.body_hash for each in history if each.kind == "invoke"]
    by_payload = {encoded(each): each.digest for call in wanted for each in call}
    assert [by_payload[each] for each in wire.sent] == numbered
    assert [e.pseq for e in history if e.kind == "invoke"] == list(range(80))


def encoded(sample):
    return base64.b64encode(sample.payload).decode()
