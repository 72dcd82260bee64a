"""What is done for many records at once: nothing is told before it is durable, nothing is mixed up."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from types import SimpleNamespace

import pytest
from nats.errors import TimeoutError as NatsTimeoutError

from ampy_conformance import contract as contracts
from ampy_conformance.bindings import subscription as subscriptions
from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.builder import EnvelopeBuilder, Identity, Invalid
from ampy_conformance.bindings.consumer import ConsumerCore
from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.meter import Meter, epoch
from ampy_conformance.bindings.nats_answers import Answers
from ampy_conformance.bindings.pipeline import Pipeline
from ampy_conformance.bindings.pressure import Pressure
from ampy_conformance.bindings.records import Record
from ampy_conformance.bindings.replay import ReplayService
from ampy_conformance.bindings.retry import RetryPolicy
from ampy_conformance.bindings.store import State, Store
from ampy_conformance.bindings.subscription import Subscription
from ampy_conformance.bindings.transport import CONFIRMED, Refusal
from ampy_conformance.contract.envelope import Envelope
from ampy_conformance.contract.lint import Linter
from ampy_conformance.contract.samples import Samples, dead_letter

CONTRACT = contracts.load()
SAMPLES = Samples(CONTRACT, seed=9)


@pytest.fixture
def stores(tmp_path):
    """Two members' views of one file."""
    made = [Store(str(tmp_path), "group") for _ in range(2)]
    yield made
    for each in made:
        each.close()


def test_a_batch_is_seen_by_others_at_its_end_and_by_itself_at_once(stores):
    one, other = stores
    with one:
        assert one.begin("id|a") == 1
        one.mark(("id|b", "key|b"), watermark=("k", "0:7"), state=("bars", "k", State(1)))
        assert one.seen(("key|b",))
        assert not other.seen(("id|b",))
        assert other.attempts("id|a") == 0
    assert other.seen(("id|b",))
    assert other.attempts("id|a") == 1
    assert other.watermarks() == {"k": "0:7"}
    assert other.state("bars", "k") == State(1)


def test_a_state_that_another_member_has_changed_is_read_anew(stores):
    one, other = stores
    one.mark(("a",), state=("bars", "k", State(1)))
    assert other.state("bars", "k") == State(1)
    one.mark(("b",), state=("bars", "k", State(2)))
    assert other.state("bars", "k") == State(2)


@pytest.mark.parametrize(
    "state",
    [
        State(
            2**65, 2**65 + 1, "id"
        ),  # nanoseconds until the year 3139, which no SQLite integer holds
        State(sum="0.10"),
        State(sum=0.1),
        State(-1, None, "id"),
    ],
)
def test_a_state_is_read_as_it_was_written(stores, state):
    one, other = stores
    one.mark(("a",), state=("bars", "k", state))
    assert other.state("bars", "k") == state


def test_a_dead_letter_of_another_member_is_known_and_its_attempts_are_over(stores):
    one, other = stores
    assert not other.buried("buried||7")
    other.begin("a")
    one.begin("a")
    one.bury("a", "buried||7", ("k", "7"))
    one.bury("b", "buried||8", None)  # out of a replay: nobody hands that place out again
    with other:
        assert other.buried("buried||7")
        assert not other.buried("buried||8")
        assert not other.seen(("a",))  # a redrive is handled
        assert other.attempts("a") == 0
    assert other.watermarks() == {"k": "7"}
    other.bury("c", "buried||9", ("k", "9"))
    assert one.buried("buried||9")
    assert other.buried("buried||9")


def test_what_is_begun_behind_its_end_counts_anew(stores):
    one, other = stores
    one.begin("a")
    with one:
        one.mark(("a",))
        one.begin("a")
    assert other.seen(("a",))
    assert other.attempts("a") == 1


def test_groups_do_not_share_what_they_have_seen(tmp_path):
    made = [Store(str(tmp_path), group) for group in ("a/b", "a_b", "../a")]
    made[0].mark(("id",), watermark=("k", "1"))
    made[0].bury("x", "buried||1", ("k", "2"))
    assert [each.seen(("id",)) for each in made] == [True, False, False]
    assert [each.buried("buried||1") for each in made] == [True, False, False]
    assert [each.watermarks() for each in made] == [{"k": "2"}, {}, {}]
    for each in made:
        each.close()
    assert {each.parent for each in tmp_path.rglob("*")} == {tmp_path}


def test_attempts_of_two_members_add_up(stores):
    one, other = stores
    with one, other:
        one.begin("a")
        other.begin("a")
    assert one.attempts("a") == 2


def test_what_is_looked_up_together_is_what_single_questions_tell(stores):
    one, other = stores
    other.mark(("a",))
    other.begin("b")
    other.begin("b")
    with one:
        one.look(["a", "b", "c"])
        assert [one.seen((each,)) for each in "abc"] == [True, False, False]
        assert [one.attempts(each) for each in "abc"] == [0, 2, 0]
        assert one.begin("b") == 3
        one.mark(("b",))
        assert one.attempts("b") == 0
    assert other.seen(("b",))
    assert other.attempts("b") == 0


def test_a_watermark_of_one_batch_does_not_go_back(stores):
    one, other = stores
    with one:
        one.mark(("a",), watermark=("k", "0:9"))
        one.mark(("b",), watermark=("k", "0:8"))
    one.mark(("c",), watermark=("k", "0:7"))
    assert other.watermarks() == {"k": "0:9"}


class Broker:
    """A membership and a transport that note what they are told."""

    def __init__(self, witness: Store) -> None:
        self.witness = witness
        self.seen_at_ack: list[bool] = []

    async def ack(self, records, confirmed):
        for each in records:
            self.seen_at_ack.append(self.witness.seen(each.ids))
            confirmed(each, CONFIRMED)

    async def give_back(self, records):
        self.given_back = list(records)

    async def leave(self):
        pass


def test_nothing_is_acknowledged_or_called_recorded_before_it_is_durable(stores):
    one, other = stores
    asyncio.run(settle_many(one, other))


def subscribed(store: Store, broker: Broker, handler) -> Subscription:
    core = ConsumerCore(
        Admission(CONTRACT),
        store,
        RetryPolicy(max_attempts=3, base=0.1),
        DeadLetters(),
        random.Random(1),
        credit=100,
        handler_timeout=5.0,
        progress_every=1000.0,
    )
    subscription = Subscription(
        lambda *_, **__: None,
        handler,
        broker,  # type: ignore[arg-type]
        core,
        store,
        Meter(),
        handle="s",
        pattern="ampy.dev.bars.v1.>",
        group="group",
    )
    subscription.membership = broker  # type: ignore[assignment]
    return subscription


def test_records_that_the_broker_has_ready_are_begun_together(stores, monkeypatch):
    asyncio.run(begin_together(*stores, partial(monkeypatch.setattr, subscriptions)))


async def begin_together(one: Store, other: Store, tune) -> None:
    tune("GATHER_SECONDS", 60.0)
    handed: list[Record] = []
    subscription = subscribed(one, Broker(other), handed.append)
    envelopes = [SAMPLES.envelope(SAMPLES.record("bars", entity=n)) for n in range(4)]
    records = [
        Record(str(n), each.topic, dict(each.headers), each.payload, followed=True)
        for n, each in enumerate(envelopes)
    ]
    records[2].followed = False
    for each in records[:2]:  # each comes in a turn of its own, as large records do
        subscription.taken(each)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not handed
    subscription.taken(records[2])  # the last one that was ready: nothing is waited for any more
    await asyncio.sleep(0)
    assert [each.position for each in handed] == ["0", "1", "2"]
    tune("GATHER_SECONDS", 0.01)
    subscription.taken(records[3])  # what was announced does not come
    await asyncio.sleep(0.2)
    assert [each.position for each in handed] == ["0", "1", "2", "3"]
    store, subscription.store = subscription.store, SimpleNamespace(close=lambda: None)  # type: ignore[assignment]
    await subscription.close()
    assert store is one


async def settle_many(one: Store, other: Store) -> None:
    handed: list[Record] = []
    tried: list[int] = []

    def handler(record: Record) -> None:
        handed.append(record)
        tried.append(other.attempts(record.ids[0]))  # a crash from here on counts (RTY-08)

    broker = Broker(other)
    subscription = subscribed(one, broker, handler)
    envelopes = [SAMPLES.envelope(SAMPLES.record("bars", entity=n)) for n in range(70)]
    for position, each in enumerate(envelopes):
        subscription.taken(Record(str(position), each.topic, dict(each.headers), each.payload))
    assert not handed  # they are begun together, in the next turn of the loop
    await asyncio.sleep(0.05)
    assert tried == [1] * 70
    told = subscription.settle([(each.delivery or "", "ack") for each in handed])
    assert all(other.seen(record.ids) for record, _ in told if record is not None)
    assert all([await future for _, future in told if future is not None])
    assert broker.seen_at_ack == [True] * 70
    assert subscription.settle([("s.1", "ack")]) == [(None, None)]
    store, subscription.store = subscription.store, SimpleNamespace(close=lambda: None)  # type: ignore[assignment]
    await subscription.close()
    assert store is one


class Slow:
    """A subscription whose handler settles one record of a replay every turn."""

    def __init__(self) -> None:
        self.core = SimpleNamespace(held=[])
        self.taken: list[int] = []
        self.others = 0

    def take(self, records) -> None:
        assert not self.core.held  # what came before is settled
        self.taken.append(len(records))
        self.core.held += records

    async def settle(self) -> None:
        while True:
            self.others += 1
            self.core.held[:1] = []
            await asyncio.sleep(0)


def test_a_replay_lets_others_have_their_turn():
    """Thousands of records judged at once would hold up what is live (RPL-11)."""

    class Replay(ReplayService):
        def __init__(self, subscription):
            self.subscription = subscription

        async def _read(self, _):
            return [Record(str(n), "ampy.dev.bars.v1.X", {}, b"") for n in range(100)]

        def in_scope(self, record, _):
            return int(record.position) % 10 > 0

    async def run():
        slow = Slow()
        live = asyncio.ensure_future(slow.settle())
        await Replay(slow).replay(SimpleNamespace(request_id="r"))
        live.cancel()
        assert sum(slow.taken) == 90
        assert max(slow.taken) <= 16
        assert slow.others >= 90

    asyncio.run(run())


# -- publishing -------------------------------------------------------------------------


class Picky:
    """A transport that refuses what it is told to."""

    def __init__(self, refusals: int) -> None:
        self.left = refusals
        self.sent: list[str | None] = []

    async def send(self, topic, headers, payload, message_id, answered):  # noqa: ARG002
        self.sent.append(message_id)
        loop = asyncio.get_running_loop()
        if self.left:
            self.left -= 1
            loop.call_soon(answered, Refusal("throttled", "full"))
        else:
            loop.call_soon(answered, str(len(self.sent)))


def pipeline(transport, attempts):
    builder = EnvelopeBuilder(CONTRACT, Identity("p@1", "s", "r"))
    policy = RetryPolicy(attempts, base=0.001)
    pressure = Pressure(CONTRACT, 1.0)
    return Pipeline(transport, builder, pressure, policy, Meter(), random.Random(1))


def logical(**more):
    sample = SAMPLES.record("bars")
    return {
        "topic": sample.topic,
        "schema_fqdn": sample.schema_fqdn,
        "payload": sample.payload,
        "key": sample.key,
        **more,
    }


def test_a_refused_record_is_sent_again_under_its_id():
    async def run():
        transport = Picky(refusals=2)
        assert await (await pipeline(transport, 5).submit(logical())) == "3"
        assert len(set(transport.sent)) == 1
        assert len(transport.sent) == 3

    asyncio.run(run())


def test_after_the_last_attempt_the_caller_is_told_why():
    async def run():
        transport = Picky(refusals=9)
        future = await pipeline(transport, 2).submit(logical())
        with pytest.raises(Refusal, match="full"):
            await future
        assert len(transport.sent) == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    "more", [{"dedupe_key": "a\r\nx: y"}, {"topic": "ampy.dev.bars.v1.*"}, {"payload": b"\xff"}]
)
def test_what_is_no_record_is_not_sent(more):
    async def run():
        transport = Picky(refusals=0)
        with pytest.raises(Invalid):
            await pipeline(transport, 2).submit(logical(**more))
        assert not transport.sent

    asyncio.run(run())


class Line:
    """A NATS client that answers what the test says."""

    def __init__(self) -> None:
        self.replies: list[str] = []

    def new_inbox(self):
        return "_INBOX.x"

    async def subscribe(self, _, cb):
        self.answer = cb

    async def publish(self, _subject, _payload, *, reply, headers):  # noqa: ARG002
        self.replies.append(reply)


def test_answers_find_their_requests_and_what_is_silent_times_out():
    async def run():
        line, heard = Line(), {}
        answers = Answers(line, patience=0.05)  # type: ignore[arg-type]
        await answers.begin()
        for n in range(3):
            await answers.ask("s", b"", lambda answer, n=n: heard.setdefault(n, answer))
        second = SimpleNamespace(subject=line.replies[1], headers=None, data=b"two")
        await line.answer(second)
        assert heard == {1: b"two"}
        await asyncio.sleep(0.2)
        assert isinstance(heard[0], NatsTimeoutError)
        assert isinstance(heard[2], NatsTimeoutError)
        await line.answer(second)  # twice, and too late: nobody is told again
        assert heard[1] == b"two"

    asyncio.run(run())


# -- memories of what was right -----------------------------------------------------------


def test_an_excused_dead_letter_excuses_no_record_after_it():
    linter = Linter(CONTRACT)
    envelope = SAMPLES.envelope(SAMPLES.record("bars"))
    headers = {name: value for name, value in envelope.headers.items() if name != "run_id"}
    poor = Envelope(envelope.topic, headers, envelope.payload)
    letter = dead_letter(CONTRACT, poor, "contract_violation: HDR-14")
    for _ in range(2):
        linter.check(letter)
        assert "HDR-14" in {each.clause for each in linter.check(poor)}


def test_a_value_that_was_right_is_right_under_its_own_name_only():
    linter = Linter(CONTRACT)
    envelope = SAMPLES.envelope(SAMPLES.record("bars"))
    assert linter.check(envelope) == []
    mixed = {**envelope.headers, "message_id": envelope.headers["trace_id"]}
    found = linter.check(Envelope(envelope.topic, mixed, envelope.payload))
    assert {each.clause for each in found} == {"HDR-01"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:01:00.123456Z", 60.123456),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_read_as_they_are_written(text, seconds):
    assert epoch(text) == seconds


def test_what_was_looked_up_outside_of_a_batch_is_not_believed_later(stores):
    """Another member may have handled it meanwhile."""
    one, other = stores
    one.look(["x"])
    other.mark(["x"])
    assert one.seen(["x"])
    with one:
        one.look(["y"])
        other.mark(["y"])
        assert not one.seen(["y"])  # one look a batch
    assert one.seen(["y"])
