"""The temporal properties once more, stated plainly over one history, slow and obvious.

Each statement takes a history and returns two lists: the chances that the property had to be
broken in it, and the violations. Only whether they are empty is compared with the SQL.
"""

from __future__ import annotations

import functools
import statistics
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

Row = dict[str, Any]
Statement = tuple["Collection[Any]", "Collection[Any]"]

# No lock spans two processes: what another member began this soon after a confirmation is a race.
RACE_NS = 250_000_000
# What a frozen member had buffered may reach its handler this long after it goes on.
THAW_NS = 2_000_000_000
# What was in some hands this long before the waiting ended may be there still.
HORIZON_NS = 10_000_000_000


class Event(dict[str, Any]):
    """One event with the facts of its detail beside the others; what it lacks is None."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


class History:
    """The events of one scope, and what they say together."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.events = []
        self._of: dict[tuple[str, ...], list[Event]] = {}
        self._bodies: dict[tuple[str, ...], set[str]] = {}
        for each in rows:
            event = Event({**each, **each.get("detail", {})})
            if event.message_id is not None:
                event["message_id"] = event.message_id.lower()
            self.events.append(event)
        self.audited = any(each.audited for each in self.events)
        over = [each.t_ns for each in self.events if each.drained is not None]
        self.waited = bool(over)
        self.horizon = max(over, default=0) - HORIZON_NS
        limits = [each.max_attempts for each in self.events if each.max_attempts is not None]
        self.max_attempts = max(limits, default=None)
        self.groups = {each.group for each in self.events if each.group is not None}
        # Groups that did not begin at the start of the log owe nothing that came before them.
        self.from_the_start = all(
            each.start in (None, "earliest") for each in self.of("mark")
        )  # fmt: skip
        self.broker_killed = any(
            each.fault in ("kill-broker", "kill and restart") for each in self.of("fault")
        )
        # The raw client's records are missing too: then the broker lost them, and nothing is proven.
        kept = self.bodies("audit", "dlq")
        self.raw_lost = any(
            each.position is not None and each.body_hash not in kept for each in self.of("inject")
        )

    def of(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds, in order."""
        if kinds not in self._of:
            self._of[kinds] = [each for each in self.events if each["kind"] in kinds]
        return self._of[kinds]

    def bodies(self, *kinds: str) -> set[str]:
        """Return the bodies of all events of these kinds."""
        if kinds not in self._bodies:
            self._bodies[kinds] = {each.body_hash for each in self.of(*kinds)}
        return self._bodies[kinds]

    @functools.cached_property
    def publishes(self) -> list[Event]:
        """Publish calls with what the binding said: `outcome`, and when: `ended`."""
        said: dict[str, Event] = {}
        for each in self.of("ok", "fail", "info"):
            said.setdefault(each.uid, each)
        return [
            Event({**each, "outcome": said[each.uid].kind, "ended": said[each.uid].seq})
            if each.uid in said
            else Event({**each, "outcome": "info"})
            for each in self.of("invoke")
        ]

    @functools.cached_property
    def acknowledged(self) -> list[Event]:
        return [each for each in self.publishes if each.outcome == "ok"]

    @functools.cached_property
    def origins(self) -> Counter[str]:
        """How many calls, of the binding or raw, have sent each body."""
        return Counter(each.body_hash for each in self.of("invoke", "inject"))

    @functools.cached_property
    def deliveries(self) -> list[Event]:
        return self.of("deliver")

    @functools.cached_property
    def effects(self) -> list[Event]:
        """Deliveries whose handler succeeded: when (`took`), and when that was recorded."""
        given = {(each.subscription, each.delivery): each for each in self.deliveries}
        recorded: dict[Any, Event] = {}
        for each in self.of("settled"):
            if each.recorded:
                recorded.setdefault((each.subscription, each.delivery), each)
        found = []
        for each in self.of("effect"):
            mark = (each.subscription, each.delivery)
            if mark in given:
                facts: Row = {"took": each.seq, "confirmed": None}
                if mark in recorded:
                    facts["confirmed"] = recorded[mark].seq
                    facts["confirmed_ns"] = recorded[mark].t_ns
                found.append(Event({**given[mark], **facts}))
        return found

    @functools.cached_property
    def first_end(self) -> dict[Any, Event]:
        """How each delivery ended first: by the handler's verdict, or given up."""
        found: dict[Any, Event] = {}
        for each in self.of("effect", "settle", "abandoned"):
            found.setdefault((each.subscription, each.delivery), each)
        return found

    def end_of(self, delivery: Event) -> Event | None:
        return self.first_end.get((delivery.subscription, delivery.delivery))

    def succeeded(self, delivery: Event) -> bool:
        return (delivery.subscription, delivery.delivery) in self._succeeded

    @functools.cached_property
    def _succeeded(self) -> set[Any]:
        return {(each.subscription, each.delivery) for each in self.of("effect")}

    @functools.cached_property
    def stored(self) -> list[Event]:
        """Records of the log as the raw client read it, each at its place."""
        return [Event({**each, "place": place(each.position)}) for each in self.of("audit")]

    @functools.cached_property
    def graves(self) -> list[Event]:
        return self.of("dlq")

    @functools.cached_property
    def buried(self) -> set[str]:
        return self.bodies("dlq")

    @functools.cached_property
    def corrupt(self) -> set[str]:
        return {each.body_hash for each in self.of("inject") if each.corrupt}

    @functools.cached_property
    def by_group(self) -> dict[str, list[Event]]:
        found = defaultdict(list)
        for each in self.effects:
            found[each.group].append(each)
        return found

    def through(self, group: str, record: Event) -> bool:
        """Tell whether a group is through with a stored record: it, its like, or a dead letter."""
        return record.body_hash in self.buried or any(
            each.body_hash == record.body_hash or alike(each, record)
            for each in self.by_group.get(group, ())
        )

    @functools.cached_property
    def lanes(self) -> dict[Any, int]:
        """How far each group got in the lanes (stream, topic, key) in which it had an effect."""
        found: dict[Any, int] = {}
        if not self.from_the_start:
            return found
        for each in self.effects:
            if each.replay is not None:  # it may be ahead of the group
                continue
            copies = [
                s for s in self.stored
                if s.body_hash == each.body_hash and s.topic == each.topic
                and s.place is not None and s.key is not None and s.stream is not None
            ]  # fmt: skip
            for lane in {(s.stream, s.topic, s.key) for s in copies}:
                first = min(s.place for s in copies if (s.stream, s.topic, s.key) == lane)
                mark = (each.group, *lane)
                found[mark] = max(found.get(mark, first), first)
        return found

    @functools.cached_property
    def due(self) -> list[Event]:
        """What each group must be through with: the stored records of its lanes."""
        return [
            Event({
                **each, "group": group, "reached": reached, "open": not self.through(group, each),
                "fresh": any(
                    d.group == group and d.body_hash == each.body_hash and d.t_ns > self.horizon
                    for d in self.deliveries
                ) and self.waited,
            })
            for (group, *lane), reached in self.lanes.items()
            for each in self.stored
            if [each.stream, each.topic, each.key] == lane
        ]  # fmt: skip

    @functools.cached_property
    def pauses(self) -> list[tuple[str, Event, Event]]:
        """Who was frozen, from when to when."""
        found = []
        for each in self.of("fault"):
            if each.fault == "paused" and each.subscription is not None:
                later = [
                    r for r in self.of("fault")
                    if r.fault == "resumed" and r.subscription == each.subscription
                    and r.seq > each.seq
                ]  # fmt: skip
                if later:
                    found.append((each.subscription, each, later[0]))
        return found

    def proven_again(self, a: Event, b: Event) -> bool:
        """Tell whether invocation b began after effect a was recorded, and not by mere bad luck."""
        if a.confirmed is None or b.seq <= a.confirmed:
            return False
        if a.subscription != b.subscription and began(b) <= a.confirmed_ns + RACE_NS:
            return False
        return not any(
            b.subscription == who
            and paused.seq < a.confirmed
            and b.seq > resumed.seq
            and b.t_ns < resumed.t_ns + THAW_NS
            for who, paused, resumed in self.pauses
        )

    def floor(self, group: str, stream: str) -> int:
        """How far the broker counted a group at most."""
        places = [
            place(each.position) for each in self.of("checkpoint")
            if each.group == group and each.stream == stream
        ]  # fmt: skip
        return max((each for each in places if each is not None), default=-1)

    @functools.cached_property
    def answers(self) -> list[tuple[Event, Event]]:
        """Replay requests, each with every delivery that answers it."""
        return [
            (asked, given)
            for asked in self.of("replay")
            for given in self.deliveries
            if given.replay is not None and given.replay == asked.request
        ]


def place(position: str | None) -> int | None:
    """Return a position as a number, where it is one."""
    return int(position) if position is not None and position.isdecimal() else None


def token(topic: str | None, number: int) -> str:
    """Return a token of a topic: 1 the env, 2 the domain, 3 the version."""
    tokens = (topic or "").split(".")
    return tokens[number] if len(tokens) > number else ""


def began(delivery: Event) -> int:
    """When a handler was invoked: by the driver's own stamp, or when that was heard."""
    return delivery.t_ns if delivery.started_ns is None else delivery.started_ns


def is_dead(event: Event) -> bool:
    return token(event.topic, 2) == "dlq"


def alike(one: Event, other: Event) -> bool:
    """Tell whether two records of a topic may have only one effect: same id, or dedupe key."""
    return one.topic == other.topic and any(
        one[name] is not None and one[name] == other.get(name)
        for name in ("message_id", "dedupe_key")
        if name in one
    )


STATED: dict[str, Callable[[History], Statement]] = {}


def statement(plain: Callable[[History], Statement]) -> Callable[[History], Statement]:
    """Register the statement of a property under its name."""
    STATED[plain.__name__] = plain
    return plain


# -- publishes against the log ------------------------------------------------------------


@statement
def phantom(h: History) -> Statement:
    """Whatever a handler is given was once published; a binding's own signals aside."""
    return h.deliveries, [
        d for d in h.deliveries
        if token(d.topic, 2) not in ("metrics", "control") and d.body_hash not in h.origins
    ]  # fmt: skip


@statement
def failed_but_visible(h: History) -> Statement:
    """A publish that was refused for certain is not in the log, unless another call put it there."""
    refused = [each for each in h.publishes if each.outcome == "fail"]
    others = {
        p.uid: [o for o in h.publishes if o.body_hash == p.body_hash and o.outcome != "fail"]
        for p in refused
    }
    seen = [
        p for p in refused
        if p.body_hash in h.bodies("audit") and p.body_hash not in h.bodies("inject")
        and not others[p.uid]
    ]  # fmt: skip
    return refused if h.audited else [], seen


@statement
def lost_from_log(h: History) -> Statement:
    """What was acknowledged is in the log or among the dead letters when both are read."""
    if not h.audited or h.raw_lost:
        return [], []
    kept = h.bodies("audit", "dlq")
    return h.acknowledged, [each for each in h.acknowledged if each.body_hash not in kept]


@statement
def kept_over_the_fault(h: History) -> Statement:
    """What was acknowledged before a fault was over is there after it."""
    healed = [each.seq for each in h.of("fault") if each.fault == "healed"]
    if not h.audited or h.raw_lost:
        return [], []
    before = [p for p in h.acknowledged if any(p.ended < each for each in healed)]
    kept = h.bodies("audit", "dlq")
    return before, [each for each in before if each.body_hash not in kept]


@statement
def recovered(h: History) -> Statement:
    """Of what is tried after a fault something is acknowledged and handled."""
    chances, broken = [], []
    for fault in h.of("fault"):
        later = [p for p in h.publishes if p.seq > fault.seq]
        if fault.fault == "healed" and h.waited and later:
            chances.append(fault)
            handled = {each.body_hash for each in h.effects} | h.buried
            handled |= {
                s.body_hash for s in h.stored if any(h.through(group, s) for group in h.groups)
            }
            if not any(p.outcome == "ok" and p.body_hash in handled for p in later):
                broken.append(fault)
    return chances, broken


@statement
def log_duplicates(h: History) -> Statement:
    """What one call published, and nobody injected, is stored once."""
    copies = Counter(each.body_hash for each in h.stored)
    calls = Counter(each.body_hash for each in h.publishes)
    raw = h.bodies("inject")
    return h.publishes if h.audited else [], [
        body for body, count in copies.items() if count > 1 and calls[body] == 1 and body not in raw
    ]


@statement
def one_position_two_records(h: History) -> Statement:
    """A place of the log holds at the end what was delivered from it."""
    same = [(d, s) for d in h.deliveries for s in h.stored
            if d.position is not None and (d.position, d.topic) == (s.position, s.topic)]  # fmt: skip
    if h.raw_lost:
        return [], []
    return same, [d for d, s in same if d.body_hash != s.body_hash]


# -- loss in a group ----------------------------------------------------------------------


@statement
def lost(h: History) -> Statement:
    """A group is through with every record that stands before one of its lane that took effect."""
    if not (h.audited and h.waited):
        return [], []
    passed = [each for each in h.due if each.place is not None and each.place < each.reached]
    return passed, [each for each in passed if each.open and not each.fresh]


@statement
def undrained(h: History) -> Statement:
    """What a group is not through with, and nothing proves that it ever got past it."""
    if not (h.audited and h.waited):
        return [], []
    late = [each for each in h.due if each.place is not None and each.place >= each.reached]
    return h.due, [each for each in late if each.open] + [
        each for each in h.due if each.open and each.fresh
    ]


@statement
def skipped(h: History) -> Statement:
    """Whoever handles a publish of a producer, topic and key was given the earlier ones as well."""
    stored, chances, broken = h.bodies("audit"), [], []
    for p in h.acknowledged:
        for group, effects in h.by_group.items():
            if p.pseq > 0 and h.from_the_start and h.origins[p.body_hash] == 1 and any(
                each.body_hash == p.body_hash and each.replay is None and not is_dead(each)
                for each in effects
            ):  # fmt: skip
                chances.append(p)
            later = [
                o for o in h.acknowledged
                if (o.producer, o.topic, o.key) == (p.producer, p.topic, p.key)
                and o.pseq > p.pseq and h.origins[o.body_hash] == 1
                and any(e.body_hash == o.body_hash and e.replay is None and not is_dead(e)
                        for e in effects)
            ]  # fmt: skip
            given = any(
                d.group == group and d.body_hash == p.body_hash for d in h.deliveries
            )  # fmt: skip
            excused = p.dedupe_key is not None and any(
                (each.topic, each.dedupe_key) == (p.topic, p.dedupe_key) for each in effects
            )
            if (
                later and not given and not excused and h.from_the_start
                and p.body_hash in stored and p.body_hash not in h.buried
            ):  # fmt: skip
                broken.append(p)
    return chances, broken


@statement
def silent_drop(h: History) -> Statement:
    """What is acknowledged while consumers stall is handled in the end; late is not dropped."""
    stalls = [each.seq for each in h.of("fault") if each.fault == "stall"]
    healed = [each.seq for each in h.of("fault") if each.fault == "healed"]
    pressed = [
        p for p in h.acknowledged
        if any(each < p.seq for each in stalls) and any(each > p.ended for each in healed)
    ]  # fmt: skip
    broken = []
    for p in pressed:
        copies = [s for s in h.stored if s.body_hash == p.body_hash]
        handled = any(e.body_hash == p.body_hash for e in h.effects)
        if handled or p.body_hash in h.buried:
            continue
        if not copies:
            broken.append(p)
        for copy in copies:
            passed_by = [
                r for r in h.due
                if (r.stream, r.position) == (copy.stream, copy.position) and not r.fresh
                and r.place is not None and r.place < r.reached
            ]  # fmt: skip
            if passed_by and not any(h.through(group, copy) for group in h.groups):
                broken.append(p)
    return (pressed, broken) if h.audited and h.waited and not h.raw_lost else ([], [])


@statement
def stuck(h: History) -> Statement:
    """A delivery that failed is followed by another, or its record is settled otherwise."""
    if not (h.audited and h.waited):
        return [], []
    failed = [
        d for d in h.deliveries
        if d.replay is None and h.end_of(d) is not None and not h.succeeded(d)
    ]  # fmt: skip
    return failed, [
        d for d in failed
        if not any(o.group == d.group and o.body_hash == d.body_hash and o.seq > d.seq
                   for o in h.deliveries)
        and any(r.group == d.group and r.body_hash == d.body_hash and r.open and not r.fresh
                for r in h.due)
    ]  # fmt: skip


@statement
def redelivered_after_crash(h: History) -> Statement:
    """What a member had in its hands when it was killed is given to somebody again."""
    chances, broken = [], []
    if not (h.audited and h.waited):
        return [], []
    for kill in h.of("fault"):
        if kill.fault != "killed":
            continue
        for d in h.deliveries:
            if d.actor is None or d.actor != kill.actor or d.seq >= kill.seq or d.replay:
                continue
            end = h.end_of(d)
            if end is None or end.seq >= kill.seq:
                chances.append(d)
            again = any(
                o.group == d.group and o.body_hash == d.body_hash and o.seq > kill.seq
                for o in h.deliveries
            )
            waiting = any(
                r.group == d.group and r.body_hash == d.body_hash and r.open and not r.fresh
                for r in h.due
            )
            if (end is None or end.seq >= kill.seq) and waiting and not again:
                broken.append(d)
    return chances, broken


# -- checkpoints ----------------------------------------------------------------------------


@statement
def ack_without_effect(h: History) -> Statement:
    """The broker counts nothing as acknowledged that a group is not through with."""
    if not h.audited or h.raw_lost:
        return [], []
    counted = [
        r for r in h.due if r.place is not None and r.place <= h.floor(r.group, r.stream)
    ]  # fmt: skip
    return counted, [each for each in counted if each.open]


@statement
def checkpoint_ahead(h: History) -> Statement:
    """A record takes effect before the broker counts it as acknowledged."""
    counts = [each for each in h.of("checkpoint") if place(each.position)]
    broken: list[Event] = []
    if h.raw_lost:  # its places were given away again
        return [], []
    for r in h.due:
        mine = [e for e in h.by_group.get(r.group, ()) if e.body_hash == r.body_hash]
        if r.place is None or not mine or r.body_hash in h.buried:
            continue
        first = min(e.took for e in mine)
        ahead = any(
            c.group == r.group and c.stream == r.stream and c.seq < first
            and place(c.position) >= r.place
            for c in counts
        )  # fmt: skip
        covered = any(alike(e, r) and e.took < first for e in h.by_group[r.group])
        if ahead and not covered:
            broken.append(r)
    return counts, broken


@statement
def checkpoint_regress(h: History) -> Statement:
    """The place that the broker keeps for a group never goes back, unless the broker was killed."""
    counts = [c for c in h.of("checkpoint") if place(c.position) is not None]
    if h.broker_killed:
        return [], []
    return [c for c in counts if place(c.position)], [
        c for c in counts for b in counts
        if b.seq < c.seq and (b.group, b.stream) == (c.group, c.stream)
        and place(b.position) > place(c.position)
    ]  # fmt: skip


@statement
def resume_gap(h: History) -> Statement:
    """Whoever joins a group later begins at or before the first record it is not through with."""
    first: dict[tuple[str, str], Event] = {}
    lowest: dict[tuple[str, str], int] = {}
    members = defaultdict(set)
    for d in h.deliveries:
        if d.replay is None and not is_dead(d):
            if d.position is not None:
                members[d.group].add(d.subscription)
            mark = (d.group, d.subscription)
            first.setdefault(mark, d)
            number = place(d.position)
            if number is not None:
                lowest[mark] = min(lowest.get(mark, number), number)
    if not (h.audited and h.waited):
        return [], []
    later = [
        (mark, lowest[mark]) for mark, earliest in first.items()
        if mark in lowest
        and any(o[0] == mark[0] and other.seq < earliest.seq for o, other in first.items())
    ]  # fmt: skip
    chances = [each for each in members.values() if len(each) > 1 and h.from_the_start]
    return chances, [
        r for r in h.due for (group, _), start in later
        if r.group == group and r.open and not r.fresh and r.place is not None
        and r.place < start and r.place < r.reached
    ]  # fmt: skip


# -- effects --------------------------------------------------------------------------------


def _pairs(h: History) -> list[tuple[Event, Event]]:
    """Effects of one group and topic of which the second began after the first was recorded."""
    return [
        (a, b) for effects in h.by_group.values() for a in effects for b in effects
        if a.topic == b.topic and h.proven_again(a, b)
    ]  # fmt: skip


@statement
def double_effect(h: History) -> Statement:
    """An id has no second effect after its first was recorded."""
    return [each for each in h.effects if each.confirmed is not None], [
        b for a, b in _pairs(h)
        if a.message_id is not None and a.message_id == b.message_id and b.replay is None
        and not is_dead(b)
    ]  # fmt: skip


@statement
def double_effect_by_key(h: History) -> Statement:
    """A dedupe key has no second effect under another id after its first was recorded."""
    recorded = [each for each in h.effects if each.confirmed is not None]
    return [each for each in recorded if each.dedupe_key is not None], [
        b for a, b in _pairs(h)
        if a.dedupe_key is not None and a.dedupe_key == b.dedupe_key
        and None not in (a.message_id, b.message_id) and a.message_id != b.message_id
    ]  # fmt: skip


@statement
def unknown_outcomes(h: History) -> Statement:
    """A publish of unknown outcome takes effect once, under however many ids it was tried."""
    unknown = {p.body_hash for p in h.publishes if p.outcome == "info"}
    return unknown, [
        b for a, b in _pairs(h)
        if a.body_hash == b.body_hash and a.body_hash in unknown and h.origins[a.body_hash] == 1
        and not is_dead(b)
    ]  # fmt: skip


@statement
def replay_effect(h: History) -> Statement:
    """What took effect, and was recorded, takes none in a replay."""
    chances = [
        (asked, e) for asked in h.of("replay") for e in h.effects
        if e.confirmed is not None and e.confirmed < asked.seq
    ]  # fmt: skip
    broken = []
    for b in h.effects:
        for a in h.by_group[b.group]:
            again = a.message_id is not None and a.message_id == b.message_id
            if b.replay is None or not again or a.topic != b.topic or a.confirmed is None:
                continue
            apart = a.subscription == b.subscription or began(b) > a.confirmed_ns + RACE_NS
            if a.confirmed < b.seq and apart:
                broken.append(b)
    return chances, broken


@statement
def zombie_effect(h: History) -> Statement:
    """A member that was frozen does not begin what others have left behind in its key."""
    first: dict[str, int] = {}
    for s in h.stored:
        if s.place is not None:
            first[s.body_hash] = min(first.get(s.body_hash, s.place), s.place)
    copies = Counter(s.body_hash for s in h.stored)
    chances, broken = [], []
    for who, paused, resumed in h.pauses:
        groups = {d.group for d in h.deliveries if d.subscription == who and d.seq < paused.seq}
        chances += [
            d for d in h.deliveries
            if d.group in groups and d.subscription != who and paused.seq < d.seq < resumed.seq
        ]  # fmt: skip
        for z in h.effects:
            if z.subscription != who or z.t_ns <= resumed.t_ns + THAW_NS or z.replay is not None:
                continue
            for o in h.by_group[z.group]:
                overtook = (
                    o.subscription != who and o.replay is None and o.key is not None
                    and (o.topic, o.key) == (z.topic, z.key)
                    and o.confirmed is not None and o.confirmed < z.seq
                    and o.body_hash in first and z.body_hash in first
                    and first[o.body_hash] > first[z.body_hash] and copies[z.body_hash] == 1
                )  # fmt: skip
                known = any(
                    d.group == z.group and d.body_hash == z.body_hash and d.seq < o.seq
                    for d in h.deliveries
                )
                if overtook and not known:
                    broken.append(z)
    return chances, broken


# -- order ----------------------------------------------------------------------------------


def _order(h: History, when: list[tuple[Event, int]]) -> Statement:
    """Compare when publishes of one producer, topic and key first came up with their order.

    Of two members each may be heard late: between them only what began clearly later proves anything.
    """
    first: dict[Any, dict[str, tuple[int, int, Event]]] = defaultdict(dict)
    calls = defaultdict(list)
    for p in h.acknowledged:
        if h.origins[p.body_hash] == 1:
            calls[p.body_hash].append(p)
    for event, seq in when:
        for p in calls[event.body_hash]:
            if p.topic == event.topic and event.replay is None:
                lane = first[event.group, p.producer, p.topic, p.key]
                if p.uid not in lane or seq < lane[p.uid][1]:
                    lane[p.uid] = (p.pseq, seq, event)
    lanes = [list(each.values()) for each in first.values()]
    return [each for each in lanes if len(each) > 1], [
        (one, other) for lane in lanes for one in lane for other in lane
        if one[0] < other[0] and one[1] > other[1]
        and (one[2].subscription == other[2].subscription
             or began(one[2]) > began(other[2]) + RACE_NS)
    ]  # fmt: skip


@statement
def delivery_order(h: History) -> Statement:
    """First deliveries of a producer and key follow its publishes."""
    return _order(h, [(d, d.seq) for d in h.deliveries])


@statement
def order_effects(h: History) -> Statement:
    """Instructions of one order take effect as they were given; dead letters are gaps."""
    mine = [e for e in h.effects if token(e.topic, 2) == "orders" and e.body_hash not in h.buried]
    return _order(h, [(e, e.took) for e in mine])


# -- attempts and dead letters --------------------------------------------------------------


@statement
def attempts_beyond_bound(h: History) -> Statement:
    """A record is not tried more often than allowed; copies and replays count for themselves."""
    if h.max_attempts is None or h.broker_killed:
        return [], []
    tries = Counter(
        (d.group, d.message_id, d.topic, d.position, d.replay) for d in h.deliveries
        if d.message_id is not None and not is_dead(d)
    )  # fmt: skip
    return [d for d in h.deliveries if d.attempt > 1], [
        each for each, count in tries.items() if count > h.max_attempts
    ]


@statement
def attempt_numbers(h: History) -> Statement:
    """Attempts are numbered upwards from 1, at least within a subscription."""
    last: dict[Any, int] = {}
    broken = []
    for d in h.deliveries:
        if d.message_id is None or d.position is None:
            continue
        mark = (d.subscription, d.message_id, d.topic, d.position, d.replay)
        if d.attempt < 1 or (d.attempt <= last.get(mark, 0) and not h.broker_killed):
            broken.append(d)
        last[mark] = d.attempt
    numbered = [d for d in h.deliveries if d.message_id is not None and d.position is not None]
    return [d for d in numbered if d.attempt > 1 and not h.broker_killed], broken


@statement
def both_ends(h: History) -> Statement:
    """With one group, a record ends in one way: an effect that was recorded, or the DLQ."""
    if len(h.groups) != 1:
        return [], []
    recorded = [each for each in h.effects if each.confirmed is not None]
    copies = Counter(each.body_hash for each in h.stored)
    return recorded if h.audited else [], [
        e for e in recorded
        if e.body_hash in h.buried and not is_dead(e)
        and e.replay is None and copies[e.body_hash] == 1
        and not any(who == e.subscription and e.seq < resumed.seq and e.confirmed > paused.seq
                    for who, paused, resumed in h.pauses)
    ]  # fmt: skip


@statement
def corruption_passed(h: History) -> Statement:
    """No handler is given what was broken on purpose."""
    return h.corrupt & h.bodies("audit"), [
        d for d in h.deliveries if d.body_hash in h.corrupt and not is_dead(d)
    ]


@statement
def dlq_missing(h: History) -> Statement:
    """What is broken, or has failed as often as allowed, is a dead letter in the end."""
    if not (h.audited and h.waited):
        return [], []
    broken: list[Any] = [
        s for s in h.stored
        if s.body_hash in h.corrupt and s.body_hash not in h.buried and s.place is not None
        and any(lane == (s.stream, s.topic, s.key) and reached > s.place
                for (_, *rest), reached in h.lanes.items() for lane in [tuple(rest)])
    ]  # fmt: skip
    tries = defaultdict(list)
    for d in h.deliveries:
        if not is_dead(d) and d.replay is None:
            tries[d.group, d.body_hash].append(d)
    for (group, body), given in tries.items():
        settled = any(e.body_hash == body for e in h.by_group.get(group, ())) or any(
            s.body_hash == body and h.through(group, s) for s in h.stored
        )
        if (
            not settled and body not in h.buried
            and h.max_attempts is not None and len(given) >= h.max_attempts
            and all(d.t_ns <= h.horizon for d in given)
        ):  # fmt: skip
            broken.append(given)
    return h.graves, broken


@statement
def dlq_spurious(h: History) -> Statement:
    """A sound record is a dead letter only after an attempt that failed, or died unrecorded."""
    recorded = {
        (e.subscription, e.delivery) for e in h.effects if e.confirmed is not None
    }  # fmt: skip
    chances, broken = [], []
    for g in h.graves:
        tries = [d for d in h.deliveries if d.body_hash == g.body_hash and not is_dead(d)]
        failed = [d for d in tries if (d.subscription, d.delivery) not in recorded]
        if h.waited and g.body_hash in h.origins and g.body_hash not in h.corrupt:
            chances += tries
            if not failed:
                broken.append(g)
    return chances, broken


@statement
def dlq_fidelity(h: History) -> Statement:
    """A dead letter has its original's headers and payload."""
    compared = [g for g in h.graves if g.missing_headers is not None]
    known = h.bodies("audit", "invoke", "inject")
    return compared, [
        g for g in compared
        if g.missing_headers > 0 or (h.audited and g.body_hash not in known)
    ]  # fmt: skip


@statement
def credit_overrun(h: History) -> Statement:
    """Nobody has more deliveries open than it ever asked for."""
    granted: Counter[str] = Counter()
    for each in h.of("mark"):
        if each.credit is not None:
            granted[each.subscription] += each.credit
    hands: dict[str, set[str]] = defaultdict(set)
    broken = []
    for each in h.of("deliver", "effect", "settle", "abandoned"):
        mine = hands[each.subscription]
        if each.kind == "deliver":
            mine.add(each.delivery)
            if 0 < granted[each.subscription] < len(mine):
                broken.append(each)
        else:
            mine.discard(each.delivery)
    return h.deliveries, broken


# -- producers -------------------------------------------------------------------------------


@statement
def producer_keeps_id(h: History) -> Statement:
    """Every attempt at one publish carries the same id."""
    sent = defaultdict(list)
    for each in h.of("wire"):
        sent[each.body_hash].append(each)
    calls = {each.body_hash for each in h.publishes}
    return [each for body, each in sent.items() if body in calls and len(each) > 1], [
        body for body, tries in sent.items()
        if body in calls and h.origins[body] == 1
        and len({each.message_id for each in tries} - {None}) > 1
    ]  # fmt: skip


def _pauses(h: History) -> dict[int, list[float]]:
    """Return the milliseconds before each further attempt at publishes that did not succeed."""
    told = [each.backoff_base_ms for each in h.of("mark") if each.backoff_base_ms is not None]
    if not any(each >= 200 for each in told):
        return {}
    failed = {each.body_hash for each in h.publishes if each.outcome != "ok"}
    times = defaultdict(list)
    for each in h.of("wire"):
        if each.body_hash in failed:
            times[each.body_hash].append(each.at_ns)
    found = defaultdict(list)
    for each in times.values():
        each.sort()
        for number in range(1, len(each)):
            found[number].append((each[number] - each[number - 1]) / 1e6)
    return {number: gaps for number, gaps in found.items() if len(gaps) >= 30}


@statement
def producer_backoff(h: History) -> Statement:
    """The third pause is 1.3 times 1.3 as long as the first, or may be for all that thirty tell."""
    pauses = _pauses(h)
    if 1 not in pauses or 3 not in pauses:
        return [number for number in pauses if number >= 3], []
    # Between the 8th and the 17th of 25 parts of thirty lies the true median, 19 times of 20.
    least, most = (
        statistics.quantiles(pauses[n], n=25, method="inclusive")[part]
        for n, part in ((1, 7), (3, 16))
    )
    return [most], [most] if most < 1.3 * 1.3 * least else []


@statement
def producer_jitter(h: History) -> Statement:
    """The first pauses of many producers differ by more than timers do."""
    pauses = _pauses(h).get(1)
    if not pauses:
        return [], []
    tenths = statistics.quantiles(pauses, n=10, method="inclusive")
    width = tenths[8] - tenths[0]
    return pauses, [width] if width < 0.04 * statistics.median(pauses) else []


# -- replays ---------------------------------------------------------------------------------


@statement
def replay_extra(h: History) -> Statement:
    """A replay brings only what its env, domain and window hold."""
    broken = []
    for asked, d in h.answers:
        copies = [s for s in h.stored if (s.body_hash, s.topic) == (d.body_hash, d.topic)]
        if d.position is not None:
            copies = [s for s in copies if s.position == d.position]
        elif len(copies) > 1:
            copies = []
        times = [s.produced_ns for s in copies if s.produced_ns is not None]
        early = asked.from_ns is not None and any(t < asked.from_ns for t in times)
        late = asked.until_ns is not None and any(t >= asked.until_ns for t in times)
        here = (token(asked.topic, 1), asked.domain)
        if early or late or (token(d.topic, 1), token(d.topic, 2)) != here:
            broken.append(d)
    return h.answers, broken


@statement
def replay_missing(h: History) -> Statement:
    """A replay leaves out nothing of its window that the group never had, as far as it went."""
    broken = []
    for asked in h.of("replay"):
        if asked.narrow or asked.from_ns is None or asked.until_ns is None:
            continue
        for s in h.stored:
            inside = (
                s.place is not None and s.produced_ns is not None
                and asked.from_ns <= s.produced_ns < asked.until_ns
                and [token(s.topic, n) for n in (1, 2, 3)]
                == [token(asked.topic, 1), asked.domain, "v1"]
                and s.body_hash not in h.corrupt
                and not any(p.body_hash == s.body_hash and p.outcome != "ok" for p in h.publishes)
            )  # fmt: skip
            if not inside:
                continue
            for group in {d.group for a, d in h.answers if a is asked}:
                passed = any(
                    a is asked and d.group == group and d.topic == t.topic
                    and d.position == t.position and t.place is not None and t.place > s.place
                    and t.key is not None
                    and (t.stream, t.topic, t.key) == (s.stream, s.topic, s.key)
                    for a, d in h.answers for t in h.stored
                )  # fmt: skip
                had = any(
                    d.group == group
                    and (d.body_hash == s.body_hash
                         or (s.message_id is not None and d.message_id == s.message_id))
                    for d in h.deliveries
                )  # fmt: skip
                like = any(
                    e.topic == s.topic and e.dedupe_key is not None
                    and e.dedupe_key == s.dedupe_key
                    for e in h.by_group.get(group, ())
                )  # fmt: skip
                if passed and not had and not like:
                    broken.append(s)
    return h.answers, broken
