"""The flow of section 19: bars, signals, orders, fills, positions, metrics; a gap, a replay, a crash."""

from __future__ import annotations

import contextlib
import threading

import pytest

LOT = 10
BARS = 6
MISSED = 3


class Desk:
    """All services of the narrative; what each of them makes of a record is a function of it.

    The services consume in a process of their own, which may be killed, and publish through
    another. A record made twice of the same one is the same instruction: same dedupe key.
    """

    def __init__(self, lab, **options):
        self.lab = lab
        self.options = options
        self.lock = threading.Lock()
        self.made = {}
        self.filled = set()
        self.quantity = {}
        self.state = lab.session.state_dir()
        self.driver = lab.fresh_driver()
        self.producer = lab.bus(**options).producer(name="desk@1")
        self.hang_on = None
        self.subscriptions = {}
        self.members = []

    def join(self, *, late=()):
        """Let every service join its group; those in `late` begin with what is new."""
        bus = self.lab.bus(driver=self.driver, state_dir=self.state, **self.options)
        for domain in ("bars", "signals", "orders", "fills", "positions", "metrics"):
            start = "latest" if domain in late else "earliest"
            self.subscriptions[domain] = bus.subscribe(
                f"ampy.dev.{domain}.v1.>", group=f"on-{domain}", handler=self.handle, start=start
            )
        self.subscriptions["bars"].serve_replay()
        self.members.append(dict(self.subscriptions))

    def crash(self):
        """Kill the services, and start them again where they were."""
        self.driver.kill()
        self.driver = self.lab.respawn(self.driver)
        self.join()

    def bar(self, number):
        """Make the bar that everything else follows from."""
        return self.make("bars", number, entity=0)

    def make(self, domain, number, **options):
        """Make the record of a domain that belongs to bar `number`; always the same one."""
        with self.lock:
            if (domain, number) not in self.made:
                tag = f"flow-{domain}-{number}"
                key = None if domain == "orders" else tag
                self.made[domain, number] = self.lab.sample(
                    domain, tag=tag, dedupe_key=key, **options
                )
            return self.made[domain, number]

    def number_of(self, delivery):
        """Return to which bar a delivered record belongs, None for a foreign one."""
        with self.lock:
            found = [n for (_, n), each in self.made.items() if each.digest == delivery.digest]
        return found[0] if found else None

    def handle(self, delivery):
        """Do the work of the service that consumes this domain."""
        domain, number = delivery.topic.split(".")[2], self.number_of(delivery)
        if number is None or (domain, number) == self.hang_on:
            return "ack" if number is None else None
        following = {
            "bars": lambda: [("signals", {"entity": 0})],
            "signals": lambda: [("orders", {"entity": number})],
            "orders": lambda: [("fills", {"entity": number, "fields": _lot(LOT)})],
            "fills": lambda: self.booked(number),
        }.get(domain, list)
        for target, options in following():
            result = self.producer.publish(self.make(target, number, **options))[0]
            if result.outcome != "ok":
                return "fail"
        return "ack"

    def booked(self, number):
        """Book a fill: a position snapshot follows, and a metric beside."""
        with self.lock:
            self.filled.add(number)
            count = len(self.filled)
            self.quantity.setdefault(number, LOT * count)
        at = f"2025-09-05T20:00:{count:02d}Z"
        return [
            ("positions", {"entity": 0, "fields": {**_lot(self.quantity[number]), "as_of": at}}),
            ("metrics", {"entity": 0}),
        ]

    def settled(self, *numbers):
        """Wait until the last step of these bars has taken effect."""
        wanted = [("positions", n) for n in numbers] + [("metrics", n) for n in numbers]

        def done():
            with self.lock:
                there = [(domain, self.made.get((domain, n))) for domain, n in wanted]
            return all(each and self.handled(domain, each) for domain, each in there)

        return self.lab.gone_through(done, self.deliveries, 20.0)

    def deliveries(self):
        """Return how many deliveries there were in all, of any service."""
        return sum(len(each.deliveries) for member in self.members for each in member.values())

    def handled(self, domain, sample):
        """Tell whether some incarnation of the service has handled the record."""
        return any(each[domain].handled(sample.digest) for each in self.members)

    def brought(self):
        """Return how often bars of the gap came, over all incarnations: by replays only."""
        missed = [self.bar(number).digest for number in range(MISSED)]
        return sum(len(each["bars"].of(digest)) for each in self.members for digest in missed)

    def effects(self, domain, sample):
        """Return how often the record's effect was recorded, over all incarnations."""
        return sum(d.recorded for each in self.members for d in each[domain].of(sample.digest))

    def position(self):
        """Return the quantity of the position that the consumer of positions holds now."""
        sample = next(each for (domain, _), each in self.made.items() if domain == "positions")
        state = self.subscriptions["positions"].query(sample) or {}
        held = next((each for each in self.lab.stored()
                     if each.header("message_id") == state.get("message_id")), None)  # fmt: skip
        for (domain, number), each in self.made.items():
            if domain == "positions" and held is not None and each.payload == held.payload:
                return self.quantity[number]
        return None


def _lot(scaled):
    return {"quantity": {"scaled": scaled, "scale": 0}}


# Under a fault a step may fail for seconds before it succeeds; it must not become a dead letter.
PATIENT = {"max_attempts": 60, "publish_timeout_ms": 700}


class Gap:
    """Bars that the desk was not there for, and the window that they are in."""

    def __init__(self, desk):
        self.desk = desk
        self.start = desk.lab.next_second()
        for number in range(MISSED):
            desk.lab.inject(desk.bar(number), produced_at=desk.lab.ago(0))
        self.end = desk.lab.next_second()

    def request(self):
        """Ask on the control topic that the window be replayed."""
        return self.desk.lab.request_replay("bars", start=self.start, end=self.end)


def _needs(lab):
    lab.needs("durable_state")
    for profile in ("replay", "semantics"):
        lab.needs_profile(profile)


def _filled(lab, desk, gap):
    """Fill the gap by a replay, ask for it again, and let one more bar pass: nothing counts twice."""
    lab.control(
        not desk.brought(), "a group that begins at the end of the log was given older records"
    )
    gap.request()
    lab.must("QOS-01", desk.settled(*range(BARS)), "the gap was not filled")
    lab.equal("QOS-01", BARS * LOT, desk.position(), "the final position is not the sum of all")
    lab.covered(desk.brought(), "nothing was replayed")
    # A bar whose order is through may still be tried again, where its own publish had no answer.
    missed = [desk.bar(number) for number in range(MISSED)]
    over = lab.gone_through(
        lambda: all(desk.handled("bars", e) for e in missed), desk.brought, 20.0
    )
    lab.covered(over, "the replay did not come to its end")
    brought = desk.brought()
    gap.request()
    sentinel = desk.bar(BARS)
    lab.publish(desk.producer.bus, sentinel)
    lab.control(desk.settled(BARS), "the flow did not go on after the replays")
    lab.equal("RPL-04", brought, desk.brought(), "the second replay repeated effects")
    doubled = [
        f"{domain} {number}"
        for (domain, number), each in desk.made.items()
        if desk.effects(domain, each) > 1
    ]
    lab.equal("IDM-02", [], doubled, "records took effect twice")
    total = (BARS + 1) * LOT
    lab.equal("IDM-02", total, desk.position(), "the final position counts something twice")


@pytest.mark.clause("QOS-01", "IDM-02", "RPL-04")
@pytest.mark.parametrize("trouble", ["quiet", "crash", "duplicates"])
def test_positions_come_out_right(lab, trouble):
    """After a gap, trouble, a replay of the gap and the same replay again every bar has moved the position once."""
    _needs(lab)
    desk = Desk(lab)
    gap = Gap(desk)
    desk.join(late=("bars",))
    live = range(MISSED, BARS)
    if trouble == "crash":
        desk.hang_on = ("orders", BARS - 1)
    lab.publish(desk.producer.bus, *[desk.bar(number) for number in live])
    first = live[:-1] if trouble == "crash" else live
    lab.control(desk.settled(*first), "the flow did not come to its end")
    if trouble == "crash":
        desk.hang_on = None
        desk.crash()
        lab.must("QOS-01", desk.settled(*live), "the flow stopped at the record that was open")
    if trouble == "duplicates":
        missed = [lab.about(desk.bar(number)) for number in range(MISSED)]
        for each in lab.stored():
            if not any(about(each) for about in missed):  # the gap stays one
                lab.inject_raw(each.topic, each.header_map(), each.payload)
    _filled(lab, desk, gap)


@pytest.mark.clause("QOS-01", "IDM-02", "RPL-04")
def test_positions_come_out_right_after_a_fault(lab, trials, strike):
    """A fault strikes while the flow goes on; the final position is that of an undisturbed run."""
    _needs(lab)
    desk = Desk(lab, url=trials.way(lab, strike), **PATIENT)
    gap = Gap(desk)
    desk.join(late=("bars",))
    live = range(MISSED, BARS)
    control, *rest = live
    lab.publish(desk.producer.bus, desk.bar(control))
    lab.control(desk.settled(control), "the flow did not come to its end before the fault")
    stored = threading.Event()
    brought = []

    def load():
        # The market does not wait: bars come raw, past the fault, as soon as the broker takes them.
        for number in rest:
            while not stored.wait(0.2):
                with contextlib.suppress(lab.unreachable):
                    lab.inject(desk.bar(number))
                    brought.append(number)
                    break

    market = threading.Thread(target=load, daemon=True)
    market.start()
    fired = trials.strike(lab, strike)
    market.join(lab.patience(20.0))
    stored.set()
    lab.covered(fired, f"the fault {strike} was not seen to fire")
    lab.covered(brought == rest, "not every bar could be stored after the fault")
    lab.must("QOS-01", desk.settled(*live), "the flow did not come to its end after the fault")
    _filled(lab, desk, gap)
