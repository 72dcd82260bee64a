"""Interop: the records of one binding, handled by another, on one broker.

Each aspect of a pair is judged on a lane of its own, by the wire and by what the consumer's handler is
given. Where a record does not arrive although it is acknowledged, the contract says whose fault it
is: the producer's, where the record on the wire breaks a clause; the consumer's otherwise.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance import driver as drivers
from ampy_conformance.driver import DriverError
from ampy_conformance.suite import cases
from ampy_conformance.suite.lab import Lab
from ampy_conformance.suite.verdicts import ClauseFailed, NotClaimed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ampy_conformance.broker import WireRecord
    from ampy_conformance.contract.samples import Sample
    from ampy_conformance.driver import Driver, Hello
    from ampy_conformance.report.outcomes import Outcome
    from ampy_conformance.suite.bus import Bus, Published, Subscription
    from ampy_conformance.suite.session import Session

TRACE = {"trace_id": "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812", "span_id": "00f067aa0ba902b7"}
LARGE = 200_000
SERIES = 20
# A topic that was just made is unknown to some clients until they ask anew.
OWN_SECONDS = 8.0
# What one and the same logical record says in its headers, whoever publishes it.
LOGICAL = ("schema_fqdn", "schema_version", "content_type", "partition_key", "dedupe_key")
# What a tracing library takes from the record itself, and keeps for the handler in its own context.
CONTEXT = ("traceparent", "span_id")


@dataclass(frozen=True)
class Aspect:
    """One question to a pair; `clauses` are those that its answer is traced to."""

    name: str
    clauses: tuple[str, ...]
    ask: Callable[[Pair], None]

    @property
    def means(self) -> str:
        """What is asked, in one line."""
        return (self.ask.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True)
class Answer:
    """One cell of the matrix: `outcome` of the aspect, and which clause is broken by what."""

    producer: str
    consumer: str
    aspect: str
    clauses: Mapping[str, str]
    outcome: Outcome
    blames: str | None = None
    says: str = ""
    expected: Any = None
    seen: Any = None
    notes: tuple[str, ...] = ()


class Member:
    """A binding of the matrix: its driver's process, started again where it died."""

    def __init__(self, name: str, session: Session) -> None:
        self.name = name
        self._session = session
        self._driver, self.hello = self._connect()

    def _connect(self) -> tuple[Driver, Hello]:
        contract = self._session.contract
        driver = drivers.connect(self.name, time_scale=self._session.options.time_scale)
        try:
            return driver, driver.hello(contract.name, contract.version, contract.digest)
        except BaseException:
            driver.kill()
            raise

    @property
    def driver(self) -> Driver:
        """A running process."""
        if not self._driver.alive:
            self._driver, self.hello = self._connect()
        return self._driver

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(DriverError):
            self._driver.stop()
        with contextlib.suppress(DriverError):
            self._driver.kill()


class Pair:
    """What an aspect has: a lab, the producer's bus and the consumer's."""

    def __init__(self, lab: Lab, producer: Member, consumer: Member) -> None:
        self.lab = lab
        self.members = (producer, consumer)
        self.producing = lab.bus(driver=producer.driver)
        self.consuming = lab.bus(driver=consumer.driver)

    def publish(self, *wanted: Sample, **options: Any) -> list[Published]:
        """Publish by the producer; records for which it has no function are left out."""
        return published(self.lab, self.producing, *wanted, **options)

    def subscribe(self, sample: Sample, **options: Any) -> Subscription:
        """Subscribe by the consumer to the topic of a record, without wildcards."""
        return self.consuming.subscribe(sample.topic, **options)

    def arrives(self, subscription: Subscription, sample: Sample) -> None:
        """Demand that a record is handled; says whose fault it is where it is not."""
        if self.lab.wait_either(subscription, sample) or not self.lab.arrived(subscription, sample):
            self.blame(sample)

    def blame(self, sample: Sample) -> None:
        """Raise the failure of a record that was acknowledged and not handled."""
        lab = self.lab
        lab.check_alive()
        lab.fit()
        wire = lab.on_wire(sample)
        if not wire:
            says = f"an acknowledged record of {sample.domain} is not on the wire"
            raise ClauseFailed("QOS-01", says)
        mine = _letter_of(self, sample)
        letter = next((each for each in lab.stored(dead=True) if mine(each)), None)
        reason = letter and (letter.header("dlq_reason") or "")[:120]
        became = f"dead-lettered ({reason})" if letter else "not handled"
        broken = [each for found in lab.lint(wire[:1]).values() for each in found]
        broken = [each for each in broken if each.severity == "fail"]
        # The one that the consumer names, where it names one.
        broken.sort(key=lambda each: each.clause not in (reason or ""))
        if broken:
            says = f"{became}, and on the wire the producer's record breaks the contract"
            raise ClauseFailed(broken[0].clause, says, broken[0].expected, broken[0].found)
        if letter is None and lab.broker.kind == "kafka":
            self._at_hand(wire[0], sample)
        says = f"a valid record of {sample.domain} was {became}"
        raise ClauseFailed("QOS-01", says, topic_form(wire[0]), reason)

    def _at_hand(self, wire: WireRecord, sample: Sample) -> None:
        """Demand that a record lies where the consumer can be expected to look for it.

        The short name of a Kafka topic and the long one are both legal (A-51), and which of them a
        binding reads is told by where it puts its own records. Any other name is the producer's fault.
        """
        lab, producer, consumer = self.lab, *self.members
        mine = kafka_name(wire)
        if mine not in ("short", "long"):
            says = "acknowledged and not handled: it lies in a Kafka topic of another name"
            raise ClauseFailed("BND-05", says, f"{topic_form(wire)}[...]", mine)
        if producer is consumer:
            return
        theirs = self._habit(sample.domain)
        lab.covered(
            mine == theirs,
            f"not handled: the record lies in the Kafka topic with the {mine} name, the consumer's own "
            f"{f'in that with the {theirs} one' if theirs else 'nowhere'}; both names are legal (A-51)",
        )

    def _habit(self, domain: str) -> str | None:
        """Return which name of a Kafka topic the consumer gives its own records; None if it has none."""
        lab = self.lab
        own, producer = lab.sample(domain), self.consuming.producer()
        deadline = time.monotonic() + lab.patience(OWN_SECONDS)
        while not (found := lab.on_wire(own)) and time.monotonic() < deadline:
            producer.publish(own)
            time.sleep(0.1)
        return kafka_name(found[0]) if found else None


def published(lab: Lab, bus: Bus, *wanted: Sample, **options: Any) -> list[Published]:
    """Publish records; those that the binding has no function for, or refuses, are left out."""
    results = bus.producer().publish(*wanted, **options)
    able = [each for each in results if each.code != "unsupported"]
    if not able:
        domains = sorted({each.domain for each in wanted})
        raise NotClaimed(f"the producer has no function for {', '.join(domains)}")
    done = [each for each in able if each.outcome == "ok"]
    unknown = sorted({each.sample.domain for each in able if each.outcome == "info"})
    lab.control(done and not unknown, f"valid records were not acknowledged: {unknown or 'none'}")
    # What it refuses is judged by its own certification.
    refused = sorted({each.sample.domain for each in able if each.outcome == "fail"})
    if refused:
        lab.note(f"the producer refuses {', '.join(refused)}")
    return done


def _letter_of(pair: Pair, sample: Sample) -> Callable[[WireRecord], bool]:
    """Return a predicate: the dead letter is that of this record, by its body or by its id."""
    lab = pair.lab
    ids = {each.header("message_id") for each in lab.on_wire(sample)} - {None}
    about = lab.about(sample)
    return lambda letter: about(letter) or letter.header("message_id") in ids


def topic_form(record: WireRecord) -> str:
    """Return where a record lies, without naming the entity."""
    return ".".join(record.topic.split(".")[:4])


def kafka_name(record: WireRecord) -> str:
    """Return whether a record's Kafka topic has the short name, the long one, or which other."""
    name = record.stream.rpartition("/")[0]
    return {topic_form(record): "short", record.topic: "long"}.get(name, name)


# -- the aspects -------------------------------------------------------------------------


def _delivered(pair: Pair) -> None:
    """Acknowledged records of every domain are handled by the other binding, byte for byte."""
    lab = pair.lab
    sent = [each.sample for each in pair.publish(*map(lab.sample, lab.publishable()))]
    into = {each.domain: pair.subscribe(each, group=f"interop-{each.domain}") for each in sent}
    for each in sent:
        pair.arrives(into[each.domain], each)
    lab.true("QOS-01", bool(sent), "nothing was published")


def _headers(pair: Pair) -> None:
    """The headers of the contract that are on the wire reach the handler with the same values."""
    lab = pair.lab
    sample = lab.sample("orders", dedupe_key="co-interop-1")
    subscription = pair.subscribe(sample)
    pair.publish(sample)
    pair.arrives(subscription, sample)
    wire = lab.on_wire(sample)[0]
    got = subscription.of(sample.digest)[0]
    known = [each.name for each in lab.session.contract.headers if each.name not in CONTEXT]
    there = {name: value for name in known if (value := wire.header(name)) is not None}
    lost = sorted(name for name in there if got.header(name) is None)
    lab.equal("BND-09", [], lost, "headers on the wire do not reach the handler")
    changed = sorted(
        name for name, value in there.items() if not _same(name, value, got.header(name) or "")
    )
    lab.equal("BND-09", [], changed, "headers reach the handler with other values")


def _same(name: str, one: str, two: str) -> bool:
    """Tell whether two texts of a header mean the same: instants and ids have several."""
    if name == "produced_at":
        with contextlib.suppress(ValueError):
            return _instant(one) == _instant(two)
    return one.lower() == two.lower() if name == "message_id" else one == two


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _trace(pair: Pair) -> None:
    """A record published within a trace carries it to the other binding's handler."""
    lab = pair.lab
    sample = lab.sample()
    subscription = pair.subscribe(sample)
    pair.publish(sample, trace=TRACE)
    pair.arrives(subscription, sample)
    wire, got = lab.on_wire(sample)[0], subscription.of(sample.digest)[0]
    lab.equal("HDR-15", TRACE["trace_id"], wire.header("trace_id"), "the trace is not on the wire")
    seen = got.header("trace_id")
    lab.equal("HDR-15", TRACE["trace_id"], seen, "the trace did not reach the handler")
    parents = {where: each.header("traceparent") for where, each in (("wire", wire), ("got", got))}
    form = rf"[0-9a-f]{{2}}-{TRACE['trace_id']}-[0-9a-f]{{16}}-[0-9a-f]{{2}}"
    wrong = {where: text for where, text in parents.items() if text and not re.match(form, text)}
    lab.equal("HDR-16", {}, wrong, "traceparent does not agree with trace_id")
    if parents["wire"] and not parents["got"]:
        lab.note("traceparent is on the wire and not among the handler's headers")


def _gzip(pair: Pair) -> None:
    """A payload above 128 KiB travels compressed, and the other handler gets it as it was."""
    lab = pair.lab
    small, large = lab.sample("news"), lab.sample("news", size=LARGE)
    subscription = pair.subscribe(small)
    pair.publish(small)
    pair.arrives(subscription, small)
    wire = lab.wire_of(pair.publish(large)[0])
    lab.control(wire, "an acknowledged record is not on the wire")
    assert wire is not None
    zipped = wire.payload[:2] == b"\x1f\x8b"
    lab.true("SER-04", zipped, "a payload above 128 KiB went out uncompressed")
    lab.equal("SER-05", "gzip", wire.header("content_encoding"), "gzip is not marked as such")
    lab.true("SER-04", gzip.decompress(wire.payload) == large.payload, "other bytes went out")
    arrived = lab.arrived(subscription, large)
    lab.must("SER-12", arrived, "the handler did not get the decompressed payload")


def _keys(pair: Pair) -> None:
    """Both publish the same logical records: one entity has one key, one record one header set."""
    lab = pair.lab
    wanted = [lab.sample(each, dedupe_key=f"interop-{each}") for each in lab.publishable()]
    able = {each.sample.digest for each in pair.publish(*wanted)}
    both = published(lab, pair.consuming, *(each for each in wanted if each.digest in able))
    required = lab.required_headers()
    keys: dict[str, list[str | None]] = {}
    facts: dict[str, list[str | None]] = {}
    names: dict[str, list[list[str]]] = {}
    for each in (each.sample for each in both):
        mine, other = lab.on_wire(each)[:2] if len(lab.on_wire(each)) > 1 else (None, None)
        lab.control(mine and other, f"a record of {each.domain} is not on the wire twice")
        assert mine is not None
        assert other is not None
        two = [mine.header("partition_key"), other.header("partition_key")]
        keys |= {each.domain: two} if two[0] != two[1] else {}
        for name in LOGICAL:
            two = [mine.header(name), other.header(name)]
            if two[0] != two[1] and name != "partition_key":
                facts[f"{each.domain} {name}"] = two
        sets = [sorted(name for name in required if r.header(name)) for r in (mine, other)]
        names |= {each.domain: sets} if sets[0] != sets[1] else {}
    lab.equal("KEY-det", {}, keys, "one entity has two keys, so its order is lost between them")
    lab.equal("HDR-24", {}, names, "the same record has other required headers")
    lab.equal("HDR-24", {}, facts, "the same record says other things")


def _order(pair: Pair) -> None:
    """Records of one key are handled by the other binding in the order of their publishes."""
    lab = pair.lab
    wanted = lab.series(SERIES)
    pair.publish(*wanted[: SERIES // 2])  # a backlog, and what comes while it is worked off
    subscription = pair.subscribe(wanted[0], credit=2)
    pair.publish(*wanted[SERIES // 2 :])
    pair.arrives(subscription, wanted[0])
    arrived = lab.arrived(subscription, *wanted)
    lab.must("ORD-01", arrived, "not every record of the key was handled")
    sent = [each.digest for each in wanted]
    order = [sent.index(each) for each in subscription.first_order(sent)]
    lab.equal("ORD-01", list(range(SERIES)), order, "first deliveries out of publish order")


def _dead(pair: Pair) -> None:
    """What the other handler always fails on becomes a dead letter: headers and payload untouched."""
    lab = pair.lab
    before, poison = lab.series(2)
    subscription = pair.subscribe(poison, handler=lab.failing(poison))
    pair.publish(before)
    pair.arrives(subscription, before)
    pair.publish(poison)
    letter = lab.dead_letter(_letter_of(pair, poison))
    kept = letter is None and lab.unacknowledged()
    lab.covered(not kept, "the broker still keeps the record for its group")
    lab.must("DLQ-01", letter, "no dead letter of a record whose handler always fails")
    assert letter is not None
    original = lab.on_wire(poison)[0]
    known = [each.name for each in lab.session.contract.headers if original.header(each.name)]
    changed = sorted(name for name in known if letter.header(name) != original.header(name))
    lab.equal("DLQ-05", [], changed, "original headers are missing or changed")
    lab.true("DLQ-07", letter.payload == original.payload, "the payload was changed")
    lab.true("HDR-20", letter.header("dlq_reason"), "a dead letter without dlq_reason")
    env = letter.topic.split(".")[1]
    lab.equal("DLQ-08", "dev", env, "the dead letter crossed into another env")


def _twice(pair: Pair) -> None:
    """The same record again, by its id, is not handled again by the other binding."""
    lab = pair.lab
    if "delivery" not in pair.members[1].hello.profiles:
        raise NotClaimed("the consumer does not claim delivery")
    sample, sentinel = lab.series(2)
    subscription = pair.subscribe(sample)
    pair.publish(sample)
    pair.arrives(subscription, sample)
    lab.covered(lab.acknowledged(1), "the consumer is not done with the record")
    wire = lab.on_wire(sample)[0]
    lab.inject_raw(wire.topic, wire.header_map(), wire.payload)
    pair.publish(sentinel)
    lab.deliver_control(subscription, sentinel)
    seen = len(subscription.of(sample.digest))
    lab.equal("IDM-01", 1, seen, "a duplicate message_id was handled again")


ASPECTS = (
    Aspect("delivered", ("QOS-01",), _delivered),
    Aspect("headers", ("BND-09",), _headers),
    Aspect("trace", ("HDR-15", "HDR-16"), _trace),
    Aspect("gzip", ("SER-04", "SER-05", "SER-12"), _gzip),
    Aspect("keys", ("KEY-det", "HDR-24"), _keys),
    Aspect("order", ("ORD-01",), _order),
    Aspect("dead letter", ("DLQ-01", "DLQ-05", "DLQ-07", "HDR-20", "DLQ-08"), _dead),
    Aspect("once", ("IDM-01",), _twice),
)


# -- the matrix --------------------------------------------------------------------------


def judge(
    session: Session, members: Sequence[Member], begin: Callable[[str], object] = lambda _: None
) -> Iterator[Answer]:
    """Yield the answers of every ordered pair of members, a member with itself included."""
    for producer in members:
        for consumer in members:
            session.lost_controls = 0
            for each in ASPECTS:
                begin(f"{producer.name} -> {consumer.name}: {each.name}")
                yield ask(session, producer, consumer, each)


def ask(session: Session, producer: Member, consumer: Member, aspect: Aspect) -> Answer:
    """Put one question to a pair, on a lane of its own."""
    lab = Lab(session, f"{producer.name}-{consumer.name}-{aspect.name}")
    error: Exception | None = None
    try:
        aspect.ask(Pair(lab, producer, consumer))
    except Exception as raised:  # noqa: BLE001 (a verdict, or a fault of ours: `cases` tells which)
        error = raised
    finally:
        lab.close()
    clauses = list(aspect.clauses)
    if isinstance(error, ClauseFailed) and error.clause not in clauses:
        clauses.append(error.clause)
    known = [session.contract.clauses[each] for each in clauses]
    case = cases.judge(known, lab, error, died_before=False)
    return Answer(
        producer.name,
        consumer.name,
        aspect.name,
        {clause: str(outcome) for clause, outcome in case.clauses.items()},
        case.outcome,
        case.blames,
        case.says,
        case.expected,
        case.seen,
        tuple(lab.observations),
    )
