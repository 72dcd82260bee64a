"""Every fault by name: what strikes, and which temporal properties it gives a chance to show.

Adding a fault is adding one entry here. `strike` is called while records flow and returns how
often the fault was seen to fire; 0 makes the case inconclusive. `reaches` names the properties
(`spec/properties/`) whose coverage a campaign with this fault must have.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # The suite's campaign; faults know what it offers and nothing else of the suite.
    Campaign = Any
    Strike = Callable[[Campaign], int]

FAMILIES = ("process", "broker", "network", "envelope", "handler")
# What every campaign shows: records flow, through two producers, to two groups.
ALWAYS = (
    "phantom", "lost_from_log", "lost", "skipped", "double_effect", "delivery_order",
    "order_effects", "ack_without_effect", "checkpoint_ahead", "one_position_two_records",
    "credit_overrun",
)  # fmt: skip
# Those that need a broker or a proxy and no campaign: any scenario can be struck by them.
ALONE = ("kill-broker", "pause-broker", "cut", "lost-answers", "latency")
RECOVERY = ("recovered", "kept_over_the_fault")
RETRIES = ("attempts_beyond_bound", "attempt_numbers")
MOMENTS = (0.3, 0.3, 1.2)  # seconds; a campaign's producers wait 0.7 s for an answer, three times
UNHEARD = 3.0  # seconds; with the probe's one, longer than all three and what a client adds to each


@dataclass(frozen=True)
class Fault:
    """One fault. `needs`: network (toxiproxy), broker (one that is ours and durable) or kill."""

    name: str
    family: str
    what: str
    strike: Strike
    reaches: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties that a campaign with this fault must put to the test."""
        return (*ALWAYS, *self.reaches)


FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    family: str,
    what: str,
    *,
    reaches: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
) -> Callable[[Strike], Strike]:
    """Register a strike under a name."""

    def register(strike: Strike) -> Strike:
        FAULTS[name] = Fault(name, family, what, strike, reaches, needs)
        return strike

    return register


def chosen(wanted: Iterable[str]) -> list[Fault]:
    """Return faults by name or family, `all` for all; raises `UsageError` for an unknown one."""
    found: dict[str, Fault] = {}
    for each in wanted:
        matching = [fault for fault in FAULTS.values() if each in ("all", fault.name, fault.family)]
        if not matching:
            raise UsageError(
                f"there is no fault {each!r}; there are {', '.join(FAMILIES)} (families) and "
                f"{', '.join(FAULTS)}"
            )
        found.update((each.name, each) for each in matching)
    return list(found.values())


# -- processes --------------------------------------------------------------------------


def _kill_at(campaign: Campaign, point: str, rounds: int = 3) -> int:
    """Kill one member after the other with deliveries caught at a point of the handler's work."""
    fired = 0
    for number in range(rounds):
        member = campaign.members[number % 2]
        fired += campaign.caught(point, member, patience=2.5)
        if point == "after":
            campaign.confirmed()
        member.kill()
        campaign.release()
        time.sleep(0.2)
        member.revive()
        time.sleep(0.6)
    return fired


@fault(
    "kill-before-effect", "process",
    "SIGKILL of a consumer whose handler has the record and has done nothing yet",
    reaches=("redelivered_after_crash", "resume_gap", "checkpoint_regress", *RETRIES),
    needs=("kill",),
)  # fmt: skip
def kill_before_effect(campaign: Campaign) -> int:
    return _kill_at(campaign, "before")


@fault(
    "kill-after-effect", "process",
    "SIGKILL of a consumer between the handler's effect and its verdict",
    reaches=("resume_gap", "checkpoint_regress", *RETRIES), needs=("kill",),
)  # fmt: skip
def kill_after_effect(campaign: Campaign) -> int:
    return _kill_at(campaign, "between")


@fault(
    "kill-after-ack", "process",
    "SIGKILL of a consumer right after the binding has recorded the verdict",
    reaches=("resume_gap", "checkpoint_regress"), needs=("kill",),
)  # fmt: skip
def kill_after_ack(campaign: Campaign) -> int:
    return _kill_at(campaign, "after")


@fault(
    "kill-producer", "process", "SIGKILL of a producer in the middle of its publishes",
    reaches=("unknown_outcomes",), needs=("kill",),
)  # fmt: skip
def kill_producer(campaign: Campaign) -> int:
    for _ in range(3):
        campaign.source.kill_and_revive()
        time.sleep(0.4)
    return 3


@fault(
    "pause-consumer", "process",
    "SIGSTOP of the active consumer for longer than the redelivery time, then SIGCONT",
    reaches=("zombie_effect",), needs=("kill",),
)  # fmt: skip
def pause_consumer(campaign: Campaign) -> int:
    for member in campaign.members:
        before = len(campaign.lab.history)
        member.pause(3.0)
        time.sleep(0.5)
        if len(campaign.lab.history) == before:
            return 0
    return len(campaign.members)


@fault(
    "pause-broker", "broker", "SIGSTOP of the broker for longer than a publish may take",
    reaches=("unknown_outcomes", *RECOVERY), needs=("broker",),
)  # fmt: skip
def pause_broker(campaign: Campaign) -> int:
    campaign.fault("pause-broker")
    campaign.lab.broker.freeze()
    try:
        time.sleep(4.0)  # three attempts of 0.7 s, with what a client adds to each
    finally:
        campaign.lab.broker.thaw()
    campaign.healed()
    time.sleep(1.0)
    return 1


@fault(
    "kill-broker", "broker", "SIGKILL of the broker and a restart on the same data",
    reaches=RECOVERY, needs=("broker",),
)  # fmt: skip
def kill_broker(campaign: Campaign) -> int:
    campaign.fault("kill-broker")
    campaign.lab.broker.kill()
    try:
        time.sleep(0.5)
    finally:
        campaign.lab.broker.restart()
    campaign.healed()
    time.sleep(1.5)
    return 1


@fault(
    "full-stream", "broker", "the broker refuses every record for a second",
    reaches=("failed_but_visible", *RECOVERY),
)  # fmt: skip
def full_stream(campaign: Campaign) -> int:
    campaign.fault("full-stream")
    before = len(campaign.outcomes)
    campaign.lab.wire.fill_main()
    try:
        time.sleep(1.2)
    finally:
        campaign.lab.wire.heal_main()
    campaign.healed()
    time.sleep(1.0)
    return sum(outcome == "fail" for _, outcome in campaign.outcomes[before:])


# -- network ----------------------------------------------------------------------------


def _first_byte(proxy: Any) -> float | None:
    """Return how many seconds a connection of our own waits for its first byte; None where it never comes."""
    with proxy.probe() as seconds:
        found: float | None = seconds
    return found


def _silent(proxy: Any) -> bool:
    return _first_byte(proxy) is None


def _network(campaign: Campaign, name: str, seconds: float, *, begin: Any, shows: Any) -> int:
    """Let the proxy misbehave for a while; it counts where that `shows` at the proxy."""
    campaign.fault(name)
    begin(campaign.proxy)
    fired = bool(shows(campaign.proxy))
    time.sleep(seconds)
    campaign.proxy.restore()
    campaign.healed()
    time.sleep(1.5)
    return int(fired)


@fault(
    "cut", "network", "every connection is closed and none is taken for a second",
    reaches=RECOVERY, needs=("network",),
)  # fmt: skip
def cut(campaign: Campaign) -> int:
    return _network(campaign, "cut", 1.0, begin=lambda proxy: proxy.cut(), shows=_silent)


@fault(
    "lost-answers", "network",
    "what the broker says is lost, thrice for a moment and then for three seconds; what it is told "
    "arrives",
    reaches=("unknown_outcomes", "producer_keeps_id", *RECOVERY), needs=("network",),
)  # fmt: skip
def lost_answers(campaign: Campaign) -> int:
    def begin(proxy: Any) -> None:
        proxy.poison("timeout", timeout=0)

    # Short enough for a producer to try again when answers come: the client by itself in the first
    # two, the binding in the third. On a new connection clients of Kafka send nothing without answers.
    for seconds in MOMENTS:
        campaign.fault("lost-answers")
        begin(campaign.proxy)
        time.sleep(seconds)
        campaign.proxy.restore()
        campaign.healed()
        time.sleep(0.6)
    return _network(campaign, "lost-answers", UNHEARD, begin=begin, shows=_silent)


@fault(
    "black-hole", "network", "nothing passes for three seconds, and nobody is told",
    reaches=("unknown_outcomes", *RECOVERY), needs=("network",),
)  # fmt: skip
def black_hole(campaign: Campaign) -> int:
    def begin(proxy: Any) -> None:
        proxy.poison("timeout", timeout=0)
        proxy.poison("timeout", timeout=0, downstream=False)

    return _network(campaign, "black-hole", UNHEARD, begin=begin, shows=_silent)


@fault(
    "latency", "network", "every answer comes 150 to 450 ms late", needs=("network",),
)  # fmt: skip
def latency(campaign: Campaign) -> int:
    return _network(
        campaign,
        "latency",
        2.0,
        begin=lambda proxy: proxy.poison("latency", latency=300, jitter=150),
        shows=lambda proxy: (_first_byte(proxy) or 0.0) > 0.1,
    )


@fault(
    "reset", "network", "connections are reset as soon as they carry something",
    reaches=RECOVERY, needs=("network",),
)  # fmt: skip
def reset(campaign: Campaign) -> int:
    return _network(
        campaign,
        "reset",
        1.0,
        begin=lambda proxy: (proxy.poison("reset_peer", timeout=100), proxy.drop()),
        shows=lambda proxy: proxy.resets(),
    )


@fault(
    "narrow", "network", "32 KiB/s in both directions, in slices of 64 bytes", needs=("network",),
)  # fmt: skip
def narrow(campaign: Campaign) -> int:
    def begin(proxy: Any) -> None:
        proxy.poison("bandwidth", rate=32)
        proxy.poison("bandwidth", rate=32, downstream=False)
        proxy.poison("slicer", average_size=64, size_variation=32, delay=10)

    return _network(
        campaign,
        "narrow",
        2.0,
        begin=begin,
        shows=lambda proxy: proxy.poisons() == 3,
    )


# -- envelopes --------------------------------------------------------------------------


@fault(
    "duplicates", "envelope", "stored records again: under their id, and under a new id with their dedupe key",
    reaches=("double_effect_by_key", "log_duplicates"),
)  # fmt: skip
def duplicates(campaign: Campaign) -> int:
    fired = 0
    for _ in range(8):
        time.sleep(0.2)
        fired += campaign.duplicate()
    return fired


@fault(
    "corrupt", "envelope", "records with a truncated payload, a false encoding, a foreign type, a missing header",
    reaches=("corruption_passed", "dlq_missing", "dlq_fidelity"),
)  # fmt: skip
def corrupt(campaign: Campaign) -> int:
    fired = 0
    for _ in range(6):
        time.sleep(0.2)
        fired += campaign.corrupt()
    return fired


# -- handlers ---------------------------------------------------------------------------


@fault(
    "handler-fails", "handler", "a handler that fails once, twice, or for ever",
    reaches=("dlq_missing", "dlq_spurious", "dlq_fidelity", "stuck", *RETRIES),
)  # fmt: skip
def handler_fails(campaign: Campaign) -> int:
    return int(campaign.scripted(["fail"], ["fail", "fail"], ["always fail"]))


@fault(
    "handler-hangs", "handler", "a handler that gives no verdict on some records, once or for ever",
    reaches=("dlq_missing", "dlq_fidelity", "stuck", *RETRIES),
)  # fmt: skip
def handler_hangs(campaign: Campaign) -> int:
    return int(campaign.scripted(["hang"], ["hang", "fail"], ["always hang"], each=3))


@fault(
    "slow-consumer", "handler", "handlers that hold on to everything for half a second, again and again",
    reaches=("silent_drop",),
)  # fmt: skip
def slow_consumer(campaign: Campaign) -> int:
    return sum(campaign.stall(0.5) for _ in range(4))
