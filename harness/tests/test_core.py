"""The consumer's state machine: order, retries, crashes, without a broker and without a clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampy_conformance import contract as contracts
from ampy_conformance.bindings.admission import Admission
from ampy_conformance.bindings.consumer import Abandon, Ack, ConsumerCore, Deliver, WriteDead
from ampy_conformance.bindings.deadletter import DeadLetters
from ampy_conformance.bindings.records import Record
from ampy_conformance.bindings.retry import RetryPolicy
from ampy_conformance.bindings.state import States
from ampy_conformance.bindings.store import Store
from ampy_conformance.contract import payloads
from ampy_conformance.contract.samples import Samples

CONTRACT = contracts.load()


@pytest.fixture
def make(tmp_path):
    """Return a function that starts a core on the same state each time."""

    stores = []

    def start(**more) -> ConsumerCore:
        options = {"credit": 10, "handler_timeout": 5.0, "progress_every": 1000.0, **more}
        stores.append(Store(str(tmp_path), "group"))
        return ConsumerCore(
            Admission(CONTRACT),
            stores[-1],
            RetryPolicy(max_attempts=3, base=0.1),
            DeadLetters(),
            random.Random(1),
            **options,
        )

    yield start
    for each in stores:
        each.close()


SAMPLES = Samples(CONTRACT, seed=6)


def record(position, entity=0, **headers):
    envelope = SAMPLES.envelope(SAMPLES.record("bars", entity=entity), **headers)
    return Record(str(position), envelope.topic, dict(envelope.headers), envelope.payload)


def delivered(actions):
    return [each.record.position for each in actions if isinstance(each, Deliver)]


def dead(actions):
    return [each for each in actions if isinstance(each, WriteDead)]


def acked(actions):
    return [each.record.position for each in actions if isinstance(each, Ack)]


def settle(core, one, verdict, now=0.0):
    return core.settled(one.delivery, verdict, now)[1]


def test_one_record_of_a_key_at_a_time_and_keys_beside_one_another(make):
    core = make()
    one, two, other = record(1), record(2), record(3, entity=1)
    assert delivered(core.arrived(one, 0.0)) == ["1"]
    assert delivered(core.arrived(two, 0.0)) == []
    assert delivered(core.arrived(other, 0.0)) == ["3"]
    actions = settle(core, one, "ack")
    assert acked(actions) == ["1"]
    assert delivered(actions) == ["2"]


def test_a_failing_head_holds_its_key_and_no_other(make):
    core = make()
    one, two, other = record(1), record(2), record(3, entity=1)
    core.arrived(one, 0.0)
    core.arrived(two, 0.0)
    settle(core, one, "fail", 0.0)
    assert delivered(core.tick(0.01)) == []
    assert delivered(core.arrived(other, 0.01)) == ["3"]
    assert delivered(core.tick(10.0)) == ["1"]
    assert one.attempt == 2


def test_after_the_last_attempt_the_dead_letter_comes_before_the_ack(make):
    core = make()
    one, two = record(1), record(2)
    core.arrived(one, 0.0)
    core.arrived(two, 0.0)
    now, dead = 0.0, []
    for _ in range(3):
        actions = settle(core, one, "fail", now)
        dead = [each for each in actions if isinstance(each, WriteDead)]
        assert acked(actions) == []
        now += 100.0
        core.tick(now)
    assert len(dead) == 1
    assert dead[0].topic == "ampy.dev.dlq.v1.bars"
    assert {**one.headers}.items() <= dead[0].headers.items()
    refused = core.dead_written(one, ok=False, now=now)
    assert acked(refused) == [], "nothing is dropped while the DLQ refuses"
    again = core.tick(now + 10.0)
    assert [each.record.position for each in again if isinstance(each, WriteDead)] == ["1"]
    done = core.dead_written(one, ok=True, now=now + 10.0)
    assert acked(done) == ["1"]
    assert delivered(done) == ["2"]


def test_what_took_effect_is_not_handled_again_not_even_after_a_restart(make):
    core = make()
    one = record(1)
    core.arrived(one, 0.0)
    settle(core, one, "ack")
    upper = {**one.headers, "message_id": one.headers["message_id"].upper()}
    for again in (core, make()):
        for headers in (one.headers, upper):
            actions = again.arrived(Record("9", one.topic, headers, one.payload), 0.0)
            assert (delivered(actions), acked(actions)) == ([], ["9"])


def test_a_failed_attempt_is_no_effect(make):
    core = make()
    one = record(1)
    core.arrived(one, 0.0)
    settle(core, one, "fail")
    fresh = make()
    again = Record("1", one.topic, one.headers, one.payload)
    assert delivered(fresh.arrived(again, 0.0)) == ["1"]
    assert again.attempt == 2, "the attempt of the dead process counts"


def test_a_record_that_kills_its_worker_is_given_up(make):
    one = record(1)
    seen = []
    for _ in range(6):
        again = Record("1", one.topic, one.headers, one.payload)
        actions = make().arrived(again, 0.0)
        seen.append("delivered" if delivered(actions) else type(actions[0]).__name__)
    assert seen == ["delivered"] * 3 + ["WriteDead"] * 3


def test_a_handler_that_hangs_is_an_attempt(make):
    core = make()
    one = record(1)
    core.arrived(one, 0.0)
    actions = core.tick(5.0)
    assert [each.delivery for each in actions if isinstance(each, Abandon)] == [
        one.delivery or "d1"
    ]
    assert core.settled("d1", "ack", 5.1) == (None, []), "a verdict that comes too late"
    assert delivered(core.tick(60.0)) == ["1"]


def test_credit_bounds_what_is_open(make):
    core = make(credit=2)
    seen = [delivered(core.arrived(record(n, entity=n), 0.0)) for n in range(4)]
    assert seen == [["0"], ["1"], [], []]
    assert delivered(core.grant(1, 0.0)) == ["2"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ack", "fail", "reject"])), max_size=25)
)
def test_effects_of_a_key_keep_their_order_and_nothing_is_lost(tmp_path_factory, plan):
    """Any mix of verdicts: every record ends once, acknowledged or dead, in order within its key."""
    store = Store(str(tmp_path_factory.mktemp("state")), "g")
    core = ConsumerCore(
        Admission(CONTRACT),
        store,
        RetryPolicy(max_attempts=3, base=0.1),
        DeadLetters(),
        random.Random(1),
        credit=100,
        handler_timeout=1e9,
        progress_every=1e9,
    )
    samples = Samples(CONTRACT, seed=8)
    todo, ended, now = [], [], 0.0
    verdicts = {}
    for position, (entity, verdict) in enumerate(plan):
        envelope = samples.envelope(samples.record("bars", entity=entity))
        one = Record(str(position), envelope.topic, dict(envelope.headers), envelope.payload)
        verdicts[one.position] = verdict
        todo += core.arrived(one, now)
    for _ in range(2000):
        if not todo:
            now += 50.0
            todo += core.tick(now)
            if not todo:
                break
        action = todo.pop(0)
        if isinstance(action, Deliver):
            todo += core.settled(action.record.delivery, verdicts[action.record.position], now)[1]
        elif isinstance(action, WriteDead):
            todo += core.dead_written(action.record, ok=True, now=now)
        elif isinstance(action, Ack):
            ended.append(int(action.record.position))
    store.close()
    assert sorted(ended) == list(range(len(plan)))
    for entity in range(4):
        mine = [each for each in ended if plan[each][0] == entity]
        assert mine == sorted(mine)


# -- rebalances ---------------------------------------------------------------------------


def of(*records):
    """Return what tells these records, and no others, to go."""
    return lambda each: any(each is one for one in records)


def test_a_released_record_waits_no_longer_and_those_in_work_stay(make):
    core = make()
    one, two, other = record(1), record(2), record(3, entity=1)
    for each in (one, two, other):
        core.arrived(each, 0.0)
    assert core.release(of(one, two), 0.0) == []
    assert core.in_work(of(one, two)) == [one]
    assert core.held == [one, other]
    _, actions = core.settled(one.delivery, "ack", 0.1)
    assert acked(actions) == ["1"]
    assert core.in_work(of(one, two)) == []
    assert delivered(core.tick(10.0)) == []


def test_a_released_retry_makes_room_for_the_next_of_its_key(make):
    core = make()
    one, two = record(1), record(2)
    core.arrived(one, 0.0)
    core.arrived(two, 0.0)
    core.settled(one.delivery, "fail", 0.0)  # waits for its retry
    assert delivered(core.release(of(one), 0.0)) == ["2"]
    assert delivered(core.tick(1.0)) == []  # the second is at work, and nothing is due
    _, actions = core.settled(two.delivery, "ack", 0.1)
    assert acked(actions) == ["2"]
    assert core.held == []


def test_a_dropped_delivery_is_abandoned_and_its_verdict_is_without_effect(make):
    core = make(credit=1)
    one, other = record(1), record(2, entity=1)
    core.arrived(one, 0.0)
    core.arrived(other, 0.0)
    actions = core.drop(of(one), 0.0)
    assert [each.delivery for each in actions if isinstance(each, Abandon)] == [one.delivery]
    assert delivered(actions) == ["2"]
    assert core.settled(one.delivery, "ack", 0.1) == (None, [])
    # Handed out again, it is another attempt.
    again = record(1)
    again.headers = one.headers
    core.grant(1, 0.1)
    assert delivered(core.arrived(again, 0.1)) == ["1"]
    assert again.attempt == 2


def test_a_key_that_was_released_and_comes_back_is_delivered_once(make):
    core = make(credit=0)
    one, again = record(1), record(1)
    core.arrived(one, 0.0)
    core.release(of(one), 0.0)
    core.arrived(again, 0.0)
    assert delivered(core.grant(5, 0.0)) == ["1"]


def test_a_dead_letter_under_way_when_its_record_goes_is_remembered(make):
    core = make()
    one = record(1)
    core.arrived(one, 0.0)
    _, actions = core.settled(one.delivery, "reject", 0.0)
    assert any(isinstance(each, WriteDead) for each in actions)
    assert core.in_work(of(one)) == [one]
    core.drop(of(one), 0.0)
    assert core.dead_written(one, True, 0.1) == []
    again = record(1)
    again.headers = one.headers
    assert acked(core.arrived(again, 0.2)) == ["1"]  # it is in the DLQ already


def test_a_stored_dead_letter_is_not_written_again_and_a_redrive_is_handled(make):
    core = make()
    one = record(1)
    core.arrived(one, 0.0)
    core.settled(one.delivery, "reject", 0.0)
    core.dead_written(one, True, 0.0)
    again, redrive = record(1), record(7)
    again.headers = redrive.headers = one.headers
    restarted = make()
    assert acked(restarted.arrived(again, 0.0)) == ["1"]
    assert delivered(restarted.arrived(redrive, 0.0)) == ["7"]


def test_places_in_different_logs_are_different_places(make):
    core = make()
    one, other = record("0:5"), record("0:5", entity=1)
    one.log, other.log = "ampy.dev.bars.v1", "ampy.dev.ticks.v1"
    core.arrived(one, 0.0)
    core.arrived(other, 0.0)
    assert core.held == [one, other]
    core.settled(one.delivery, "ack", 0.0)
    core.settled(other.delivery, "ack", 0.0)
    assert sorted(core.store.watermarks().values()) == ["0:5", "0:5"]


def test_a_watermark_does_not_go_back(make):
    core = make()
    for position in ("2:9", "2:10", "2:7"):
        each = record(position)
        core.arrived(each, 0.0)
        core.settled(each.delivery, "ack", 0.0)
    assert list(core.store.watermarks().values()) == ["2:10"]


@pytest.mark.parametrize("entity", ["bars", "fills", "metrics"])
def test_a_time_or_an_amount_that_is_none_says_nothing_of_the_state(make, entity):
    """protobuf takes any number; a worker that fell over it would be given it for ever."""
    core = make()
    core.states = states = States(CONTRACT, core.store)
    sample = SAMPLES.record(entity)
    message = payloads.types(CONTRACT).decode(sample.schema_fqdn, sample.payload)
    for each in payloads.elements(CONTRACT.domains[entity], sample.schema_fqdn, message):
        found = getattr(each, CONTRACT.domains[entity].order.field, None)
        if entity == "fills":
            found.scale = -(2**31)
        else:
            (each.at if entity == "metrics" else found).seconds = 10**15
    good, bad = SAMPLES.envelope(sample), message.SerializeToString()
    told = []
    for number, payload in enumerate((good.payload, bad)):
        headers = {**good.headers, "message_id": SAMPLES.envelope(sample).headers["message_id"]}
        one = Record(str(number), good.topic, headers, payload)
        assert delivered(core.arrived(one, 0.0)) == [str(number)]
        assert acked(settle(core, one, "ack")) == [str(number)]
        told.append(states.query(entity, one.key))
    assert told[0]
    assert told[1] == told[0]


def test_a_verdict_that_comes_after_another_members_counts_once(make):
    """A member that was frozen with a fill in its hands wakes up with its verdict."""
    cores = [make(), make()]
    for core in cores:
        core.states = States(CONTRACT, core.store)
    envelope = SAMPLES.envelope(SAMPLES.record("fills"))
    opened = []
    for core in cores:
        one = Record("1", envelope.topic, dict(envelope.headers), envelope.payload)
        with core.store:
            core.arrived(one, 0.0)
        opened.append(one)
    key = opened[0].key
    held = []
    for core, one in zip(reversed(cores), reversed(opened), strict=True):
        with core.store:
            core.settled(one.delivery, "ack", 1.0)
        held.append(core.states.query("fills", key))
    assert held[0] is not None
    assert held == [held[0]] * 2


def test_a_refused_record_that_comes_again_makes_no_second_dead_letter(make):
    first, second = make(), make()
    (letter,) = dead(first.arrived(record(1, schema_version=""), 0.0))
    first.dead_written(letter.record, True, 0.0)
    actions = second.arrived(record(1, schema_version=""), 0.0)
    assert dead(actions) == []
    assert acked(actions) == ["1"]
