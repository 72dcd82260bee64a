"""Replay (RPL): a request on the control topic brings back exactly what it asks for, once."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import pytest

SECOND = dt.timedelta(seconds=1)
TICK = dt.timedelta(milliseconds=1)
EARLY = "a group that begins at the end of the log was given older records"
WIDE = "a request brought back what is outside of its window: there is no sentinel"


class Tape:
    """Records of one domain, stored before anybody subscribed, in a window of whole seconds.

    They are stored at the times that their headers tell, so that it does not matter whether a binding
    goes by `produced_at` or by the broker's time (A-37); RPL-02 alone looks at `produced_at` apart.
    """

    def __init__(self, lab, domain="bars", env="dev"):
        self.lab = lab
        self.domain = domain
        self.env = env
        self.envelopes = {}
        self.known = set()  # digests of what comes to the group otherwise
        early = dt.datetime.now(dt.UTC).replace(microsecond=0)
        # Stored before anybody subscribes, and asked for last: see `completed`.
        self.last = self.add(entity=91)
        self.start = lab.next_second()
        self.before = early, self.start
        self.end = None

    def add(self, at=None, entity=0, domain=None, **options):
        """Store a record that was produced now, or `at`, and return it."""
        headers = options.pop("headers", {})
        if (domain or self.domain) == "news":
            entity = None  # records of one item are duplicates of each other
        sample = self.lab.sample(domain or self.domain, entity=entity, env=self.env, **options)
        at = stamp(at or dt.datetime.now(dt.UTC))
        self.envelopes[sample.digest] = self.lab.inject(sample, produced_at=at, **headers)
        return sample

    def series(self, count, keys=1, **options):
        """Store so many records, a few milliseconds apart, their keys in turns."""
        return [self.add(entity=n % keys, **options) for n in range(count)]

    def cut(self):
        """End the window before the next record, once."""
        if self.end is None:
            self.end = self.lab.next_second()

    def given(self, subscription):
        """Return what the group was given that can only have come by a replay, in order.

        Judged where it arrives, whatever the driver says of it (A-38): the group was not there
        when these records were stored.
        """
        return [each for each in list(subscription.deliveries) if each.digest not in self.known]


def stamp(at):
    """Return a time as a header has it."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def served(lab, bus, tape, group="gap"):
    """Return a served subscription of a group that was not there when the records were stored."""
    tape.cut()
    pattern = f"ampy.{tape.env}.{tape.domain}.v1.>"
    subscription = bus.subscribe(pattern, group=group, start="latest")
    subscription.serve_replay()
    control = lab.sample(tape.domain, entity=90, env=tape.env)
    tape.known.add(control.digest)
    lab.inject(control)
    lab.deliver_control(subscription, control)
    lab.control(not tape.given(subscription), EARLY)
    return subscription


def completed(lab, subscription, tape):
    """Let the service answer one more request, for a record that nobody else asks for.

    Requests are answered one after the other where order matters to a binding; where not, the
    record comes back all the same, and what is too many shows in the history. Returns whether it
    came now: where another request has brought it already, `given` shows it, and it is no sentinel.
    """
    if subscription.of(tape.last.digest):
        return False
    tape.known.add(tape.last.digest)
    start, end = tape.before
    lab.request_replay(tape.domain, env=tape.env, start=start, end=end)
    answered = lab.arrived(subscription, tape.last)
    lab.control(answered, "a request for one record was not answered")
    return True


def order(wanted, deliveries):
    """Return which of the wanted records were delivered, by number, in order of arrival."""
    numbers = {each.digest: number for number, each in enumerate(wanted)}
    return [numbers.get(each.digest, "foreign") for each in deliveries]


@pytest.mark.clause("RPL-01")
@pytest.mark.parametrize("domain", ["bars", "ticks", "news", "fx"])
def test_a_time_window_can_be_replayed(lab, domain):
    """A group that missed records of a domain is given those of a window."""
    tape = Tape(lab, domain)
    missed = tape.series(4, keys=2)
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    lab.request_replay(domain, start=tape.start, end=tape.end)
    done = lab.arrived(subscription, *missed)
    lab.must("RPL-01", done, f"a window of {domain} was not replayed", expected=4,
             seen=len(tape.given(subscription)))  # fmt: skip


@pytest.mark.clause("RPL-02")
def test_the_window_has_its_start_and_not_its_end(lab):
    """A record at `start` is replayed, one at `end` is not, nor those a millisecond outside."""
    tape = Tape(lab)
    tape.start, tape.end = tape.start - 600 * SECOND, tape.start - 300 * SECOND
    times = (tape.start - TICK, tape.start, tape.start + TICK, tape.end - TICK, tape.end)
    records = [tape.add(at, entity=n) for n, at in enumerate(times)]
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    lab.request_replay("bars", start=tape.start, end=tape.end)
    lab.control(lab.arrived(subscription, records[2]), "the window was not replayed")
    completed(lab, subscription, tape)
    seen = sorted(order(records, tape.given(subscription)), key=str)
    lab.equal("RPL-02", [1, 2, 3], seen, "the window is not [start, end)")


@pytest.mark.clause("RPL-02")
def test_an_empty_window_is_empty(lab):
    """A window in which nothing was produced brings back nothing; one of a millisecond its record."""
    tape = Tape(lab)
    tape.start, tape.end = tape.start - 600 * SECOND, tape.start - 300 * SECOND
    near, record = tape.add(tape.start, entity=0), tape.add(tape.start + 9 * SECOND, entity=1)
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    lab.request_replay("bars", start=tape.start + TICK, end=tape.start + 9 * SECOND)
    lab.request_replay("bars", start=tape.start + 9 * SECOND, end=tape.start + 9 * SECOND + TICK)
    lab.control(lab.arrived(subscription, record), "the record was not replayed")
    completed(lab, subscription, tape)
    # The second record may come of its own request only, which nobody but the driver could tell.
    seen = [each for each in order([near, record], tape.given(subscription)) if each != 1]
    lab.equal("RPL-02", [], seen, "an empty window brought back records")


KEYED = {
    "orders": ("account_id", "client_order_id"),
    "fills": ("account_id", "client_order_id"),
    "positions": ("account_id", "symbol", "mic"),
}


@pytest.mark.clause("RPL-03")
@pytest.mark.parametrize("domain", KEYED)
def test_one_entity_can_be_replayed(lab, domain):
    """A request with a key brings back the records of this entity alone."""
    tape = Tape(lab, domain)
    records = tape.series(6, keys=2)
    message = lab.fields_of(records[1])
    parts = {**{name: getattr(message, name, "") for name in KEYED[domain]}, **records[1].key}
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    key = {name: parts[name] for name in KEYED[domain]}
    lab.request_replay(domain, start=tape.start, end=tape.end, key=key)
    mine = [records[1], records[3], records[5]]
    done = lab.arrived(subscription, *mine)
    lab.must("RPL-03", done, "the entity's records were not replayed",
             seen=order(records, tape.given(subscription)))  # fmt: skip
    completed(lab, subscription, tape)
    seen = sorted(map(str, order(records, tape.given(subscription))))
    lab.equal("RPL-03", ["1", "3", "5"], seen, "records of other entities were replayed")


@pytest.mark.clause("RPL-04")
def test_a_replay_does_not_repeat_effects(lab):
    """What a group has handled is not handled again; what it missed is."""
    tape = Tape(lab)
    missed = tape.add()
    bus = lab.bus()
    subscription = bus.subscribe("ampy.dev.bars.v1.>", group="gap", start="latest")
    subscription.serve_replay()
    handled = tape.series(4, keys=4)
    lab.deliver_control(subscription, *handled)
    tape.cut()
    confirmed = [each for each in handled if any(d.recorded for d in subscription.of(each.digest))]
    lab.covered(confirmed, "no effect was confirmed before the replay")
    old = missed.digest, tape.last.digest
    lab.control(not any(subscription.of(each) for each in old), EARLY)

    lab.request_replay("bars", start=tape.start, end=tape.end)
    lab.control(lab.arrived(subscription, missed), "the gap was not replayed")
    lab.control(completed(lab, subscription, tape), WIDE)
    repeated = [n for n, each in enumerate(confirmed) if len(subscription.of(each.digest)) > 1]
    lab.equal("RPL-04", [], repeated, "effects were repeated by a replay")


def _place(position):
    """Return the number in a position; -1 where there is none."""
    digits = str(position or "").rpartition(":")[2]
    return int(digits) if digits.isdigit() else -1


def _marks(lab, delivery):
    """Return where a watermark may be that a delivery has moved: Kafka's own are the next place."""
    place = _place(delivery.position)
    if place < 0:
        return set()
    return {place, place + 1} if lab.broker.kind == "kafka" else {place}


@pytest.mark.clause("RPL-05")
def test_watermarks_survive_a_restart(lab):
    """The checkpoint names how far each key or partition is, also after the process was killed."""
    lab.needs("durable_state")
    state = lab.session.state_dir()
    driver = lab.fresh_driver()
    bus = lab.bus(driver=driver, state_dir=state)
    subscription = bus.subscribe("ampy.dev.bars.v1.>")
    wanted = [lab.sample("bars", entity=each % 2) for each in range(6)]
    for each in wanted:
        lab.inject(each)
    lab.deliver_control(subscription, *wanted)
    last = [subscription.of(each.digest)[-1] for each in wanted[-2:]]
    lab.covered(all(each.recorded for each in last), "the effects were not confirmed")
    before = subscription.checkpoint()
    lab.true("RPL-05", before, "there are no high-watermarks", expected="one a key or partition")
    lab.covered(all(each.position for each in last), "deliveries do not tell their positions")
    highest = max(last, key=lambda each: _place(each.position))
    marks = {_place(each) for each in before.values()}
    lab.true("RPL-05", _marks(lab, highest) & marks, "no watermark is at the last settled record",
             expected=sorted(_marks(lab, highest)), seen=sorted(marks))  # fmt: skip
    driver.kill()

    again = lab.bus(driver=lab.respawn(driver), state_dir=state)
    second = again.subscribe("ampy.dev.bars.v1.>")
    sentinel = lab.sample("bars", entity=5)
    lab.inject(sentinel)
    lab.deliver_control(second, sentinel)
    after = second.checkpoint()
    # A mark of a partition may move to the sentinel, and nowhere else.
    moved = _marks(lab, second.of(sentinel.digest)[-1])
    gone = sorted(
        key for key, mark in before.items() if _place(after.get(key)) not in {_place(mark), *moved}
    )
    lab.equal("RPL-05", [], gone, "watermarks were lost with the process")


@pytest.mark.clause("RPL-05")
def test_a_replay_leaves_live_checkpoints_alone(lab):
    """Replaying old records moves no watermark back, and the group goes on where it was."""
    tape = Tape(lab)
    missed = tape.series(3)
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    live = lab.sample("bars", entity=0)
    lab.inject(live)
    lab.deliver_control(subscription, live)
    before = subscription.checkpoint()
    lab.request_replay("bars", start=tape.start, end=tape.end)
    lab.control(lab.arrived(subscription, *missed), "the gap was not replayed")
    after = subscription.checkpoint()
    moved = sorted(key for key, mark in before.items() if after.get(key) != mark)
    lab.equal("RPL-05", [], moved, "a replay moved live checkpoints")


@pytest.mark.clause("RPL-07")
def test_a_broken_request_stops_nobody(lab):
    """A request that does not parse starts nothing; the next one is answered."""
    tape = Tape(lab)
    missed = tape.add()
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    lab.inject(lab.sample("control", case="minimal"), payload=b"\x0a\xff")
    lab.request_replay("bars", start=tape.start, end=tape.end)
    done = lab.arrived(subscription, missed)
    lab.must("RPL-07", done, "a request on the control topic starts no replay")


@pytest.mark.clause("RPL-07")
def test_a_request_published_by_the_binding_is_answered(lab):
    """An operator's tool may be built on the binding itself."""
    tape = Tape(lab)
    missed = tape.add()
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    fields = {"request_id": "by-hand", "domain": "bars", "version": "v1", "subtopic": "",
              "start": stamp(tape.start), "end": stamp(tape.end)}  # fmt: skip
    lab.publish(bus, lab.sample("control", case="minimal", fields=fields))
    done = lab.arrived(subscription, missed)
    lab.must("RPL-07", done, "a request published by the binding starts no replay")


@pytest.mark.clause("RPL-08")
def test_replayed_records_are_the_originals(lab):
    """Id, dedupe key, schema, times, extra headers and payload come back as they were."""
    tape = Tape(lab, "news")
    missed = [tape.add(headers={"x_desk": f"desk-{n}"}) for n in range(3)]
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    lab.request_replay("news", start=tape.start, end=tape.end)
    lab.arrived(subscription, *missed)
    deliveries = tape.given(subscription)
    lab.covered(deliveries, "nothing was replayed")
    known = {tape.envelopes[each.digest].headers["message_id"] for each in missed}
    foreign = [each for each in deliveries if each.header("message_id") not in known]
    lab.equal("RPL-08", 0, len(foreign), "replayed records carry new ids")
    bodies = {each.digest for each in missed}
    lab.true("RPL-08", all(e.digest in bodies for e in deliveries), "payloads were changed")
    for each in deliveries:
        sent = tape.envelopes[each.digest].headers
        seen = {name: each.header(name) for name in sent}
        lab.equal("RPL-08", sent, seen, "headers of a replayed record were changed")


@pytest.mark.clause("RPL-09")
def test_the_same_request_gives_the_same_records(lab):
    """Three groups that ask for the same window are given the same records in the log's order."""
    tape = Tape(lab)
    missed = tape.series(12, keys=4)
    bus = lab.bus()
    seen = []
    for group in ("one", "two", "three"):
        subscription = served(lab, bus, tape, group=group)
        lab.request_replay("bars", start=tape.start, end=tape.end)
        done = lab.arrived(subscription, *missed)
        lab.must("RPL-09", done, "the window was not replayed whole", expected=12,
                 seen=len(tape.given(subscription)))  # fmt: skip
        seen.append(order(missed, tape.given(subscription)))
        subscription.leave()
    lab.equal("RPL-09", [seen[0]] * 3, seen, "the order differs from request to request")
    # A log with partitions has one order in each; between them any will do, if it stays the same.
    logs = defaultdict(list)
    for each in lab.stored():
        number = next((n for n, one in enumerate(missed) if lab.about(one)(each)), None)
        if number is not None and number not in logs[each.stream]:  # a replay may store it again
            logs[each.stream].append(number)
    replayed = {name: [n for n in seen[0] if n in mine] for name, mine in logs.items()}
    lab.equal("RPL-09", dict(logs), replayed, "the order is not that of the log")


@pytest.mark.clause("RPL-10")
def test_nothing_outside_of_the_scope_is_replayed(lab):
    """Other domains, subtopics, versions, envs and times stay where they are."""
    tape = Tape(lab)
    wanted = tape.add(entity=0)
    subtopic = wanted.topic.split(".", 4)[4]
    others = {
        "another subtopic": tape.add(entity=1),
        "another domain": tape.add(entity=0, domain="ticks"),
        "another version": tape.add(entity=0, version="v2"),
        "another env": Tape(lab, env="paper").add(entity=0),
    }
    tape.cut()
    others["another time"] = tape.add(entity=0)
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    lab.request_replay("bars", start=tape.start, end=tape.end, subtopic=subtopic)
    lab.control(lab.arrived(subscription, wanted), "the scope was not replayed")
    lab.request_replay("bars", env="paper", start=tape.start, end=tape.end)
    completed(lab, subscription, tape)
    names = ["wanted", *others]
    numbers = order([wanted, *others.values()], tape.given(subscription))
    seen = [names[each] if isinstance(each, int) else each for each in numbers]
    lab.equal("RPL-10", ["wanted"], seen, "records outside of the scope were replayed")


@pytest.mark.clause("RPL-12")
def test_a_replay_ends_and_does_not_feed_itself(lab):
    """A window that is still open, with live records coming in, is replayed once and not for ever."""
    tape = Tape(lab)
    missed = tape.series(3)
    tape.end = dt.datetime.now(dt.UTC) + 3600 * SECOND
    bus = lab.bus()
    subscription = served(lab, bus, tape)
    before = len(subscription.deliveries)
    lab.request_replay("bars", start=tape.start, end=tape.end)
    live = lab.series(5)
    lab.publish(bus, *live)
    lab.control(lab.arrived(subscription, *missed), "the gap was not replayed")
    lab.request_replay("bars", start=tape.start, end=tape.end)
    lab.control(completed(lab, subscription, tape), WIDE)
    counts = [len(lab.on_wire(each)) for each in missed]
    plain = [n for each, n in zip(missed, counts, strict=True) if n > 1 and not _marked(lab, each)]
    lab.equal("RPL-12", [], plain, "replayed records are in the live log again, without a mark")
    total = len(subscription.deliveries) - before
    # Each request may bring back all that is in the window, the control included; once it comes live.
    limit = 2 * (len(missed) + len(live) + 1) + len(live) + 1
    lab.true("RPL-12", total <= limit, "the replay feeds on itself", expected=limit, seen=total)


def _marked(lab, sample):
    """Tell whether every later copy of a record carries a header that its original does not."""
    first, *copies = lab.on_wire(sample)
    known = {name.lower() for name, _ in first.headers}
    return all({name.lower() for name, _ in each.headers} - known for each in copies)
