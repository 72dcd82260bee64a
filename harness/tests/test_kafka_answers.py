"""How an event loop fetches what has become of its records, from a producer that several loops share."""

from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka import KafkaError

from ampy_conformance.bindings.kafka_cluster import FETCH, Answers
from ampy_conformance.bindings.transport import Refusal


class Message:
    """What a producer tells of a record."""

    def __init__(self, offset):
        self._offset = offset

    def partition(self):
        return 3

    def offset(self):
        return self._offset

    def topic(self):
        return "ampy.dev.bars.v1"


class Producer:
    """Gives its answers to whoever polls."""

    def __init__(self):
        self.ready = []
        self.polls = 0

    def poll(self, timeout):
        assert timeout == 0, "a loop does not wait"
        self.polls += 1
        while self.ready:
            answers, answered, error, offset = self.ready.pop(0)
            answers.delivery(answered)(error, Message(offset))


async def until(predicate):
    for _ in range(2000):
        if predicate():
            return
        await asyncio.sleep(FETCH)
    raise AssertionError("it did not happen in time")


def test_answers_come_in_their_order_and_then_nobody_looks():
    async def run():
        producer, told = Producer(), []
        answers = Answers(asyncio.get_running_loop())
        for offset in range(3):
            answers.expect(producer)
            producer.ready.append((answers, told.append, None, offset))
        await until(lambda: len(told) == 3)
        assert told == ["3:0", "3:1", "3:2"]
        polls = producer.polls
        await asyncio.sleep(20 * FETCH)
        assert producer.polls == polls
        answers.expect(producer)  # and looks again where there is something to come
        producer.ready.append((answers, told.append, None, 9))
        await until(lambda: told[-1] == "3:9")

    asyncio.run(run())


def test_a_late_answer_is_waited_for():
    async def run():
        producer, told = Producer(), []
        answers = Answers(asyncio.get_running_loop())
        answers.expect(producer)
        await until(lambda: producer.polls > 5)
        producer.ready.append((answers, told.append, None, 1))
        await until(lambda: told)

    asyncio.run(run())


def test_what_is_refused_is_told_with_its_topic():
    async def run():
        producer, told, refused = Producer(), [], []
        answers = Answers(asyncio.get_running_loop(), refused.append)
        for code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._TIMED_OUT):
            answers.expect(producer)
            producer.ready.append((answers, told.append, KafkaError(code), -1))
        await until(lambda: len(told) == 2)
        assert [type(each) is Refusal for each in told] == [True, False]
        assert refused == ["ampy.dev.bars.v1"]  # nobody knows what became of the other

    asyncio.run(run())


def test_one_who_cannot_take_his_answer_keeps_none_from_the_others():
    async def run():
        producer, told, logged = Producer(), [], []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: logged.append(context["exception"]))
        answers = Answers(loop)

        def broken(answer):
            raise ValueError(answer)

        for answered in (broken, told.append, told.append):
            answers.expect(producer)
            producer.ready.append((answers, answered, None, 7))
        await until(lambda: len(told) == 2)
        assert [type(each) for each in logged] == [ValueError]

    asyncio.run(run())


def test_a_loop_that_fetches_for_another_leaves_it_the_telling():
    """A producer is the process's: an answer is told on the loop that waits for it."""
    producer, where = Producer(), {}
    begun, fetched = threading.Event(), threading.Event()

    async def owner():
        answers = Answers(asyncio.get_running_loop())
        answers.expect(producer)
        producer.ready.append(
            (answers, lambda _: where.update(told=threading.get_ident()), None, 1)
        )
        begun.set()
        await asyncio.to_thread(fetched.wait, 10)
        await until(lambda: "told" in where)
        where["owner"] = threading.get_ident()

    async def other():
        answers = Answers(asyncio.get_running_loop())
        answers.expect(producer)
        await until(lambda: not producer.ready)
        fetched.set()

    thread = threading.Thread(target=lambda: asyncio.run(owner()))
    thread.start()
    begun.wait(10)
    asyncio.run(other())
    thread.join(20)
    assert where["told"] == where["owner"]
