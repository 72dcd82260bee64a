"""Trials: one campaign a fault, run when first asked for, judged by the temporal properties."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker import BrokerError
from ampy_conformance.driver import DriverDied
from ampy_conformance.faults.catalogue import FAULTS
from ampy_conformance.faults.toxiproxy import Toxiproxy, ToxiproxyMissing
from ampy_conformance.history import properties
from ampy_conformance.suite import evidence
from ampy_conformance.suite.campaign import Campaign
from ampy_conformance.suite.lab import Lab
from ampy_conformance.suite.verdicts import NotClaimed, NotRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ampy_conformance.faults.catalogue import Fault
    from ampy_conformance.faults.toxiproxy import Proxy
    from ampy_conformance.history.properties import Result
    from ampy_conformance.suite.evidence import Evidence
    from ampy_conformance.suite.session import Session


@dataclass(frozen=True)
class Trial:
    """What one fault brought to light: how often it fired, and every property's result.

    `neighbours` are the events around each example of a violation, as readable lines; `evidence`
    has the same as data.
    """

    fault: Fault
    fired: int
    drained: bool
    events: int
    recovery: float | None
    results: Mapping[str, Result]
    seconds: float = 0.0
    neighbours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """Return what the report says of it."""
        return {
            "fault": self.fault.name,
            "family": self.fault.family,
            "what": self.fault.what,
            "fired": self.fired,
            "drained": self.drained,
            "events": self.events,
            "recovery_seconds": None if self.recovery is None else round(self.recovery, 3),
            "seconds": round(self.seconds, 3),
            "chances": {name: each.covered for name, each in self.results.items() if each.covered},
            "violations": {name: each.total for name, each in self.results.items() if each.total},
        }


@dataclass(frozen=True)
class Long:
    """What a long campaign came to: how often each fault fired, and which could not strike."""

    fired: Mapping[str, int]
    left_out: Mapping[str, str]
    drained: bool
    events: int


@dataclass(frozen=True)
class Struck:
    """A scenario that is no campaign, as the faults of `catalogue.ALONE` see it."""

    lab: Lab
    proxy: Proxy | None

    def fault(self, name: str) -> None:
        """Note in the history that a fault begins."""
        self.lab.history.add("fault", detail={"fault": name})

    def healed(self) -> None:
        """Note in the history that it is over."""
        self.fault("healed")


class Trials:
    """The trials of a run; each fault strikes once, however many cases look at the outcome."""

    def __init__(self, session: Session, done: Callable[[Trial], None] = lambda _: None) -> None:
        self._session = session
        self._told = done
        self._done: dict[str, Trial | Exception] = {}
        self._toxiproxy: Toxiproxy | None = None
        self._proxies: dict[Lab, Proxy] = {}
        self._rules = properties.load(session.contract)

    def of(self, name: str) -> Trial:
        """Return the trial of a fault, or raise again what prevented it."""
        if name not in self._done:
            try:
                trial = self._done[name] = self._run(FAULTS[name])
                self._told(trial)
            except DriverDied:
                raise  # one death may be chance: the case is tried again, and with it the trial
            except Exception as error:  # noqa: BLE001 (every case of this fault ends in it)
                self._done[name] = error
        found = self._done[name]
        if isinstance(found, Exception):
            raise found
        return found

    def way(self, lab: Lab, name: str) -> str | None:
        """Return the URL by which a scenario must reach the broker for this fault to meet it.

        None: the lane's own. Ends the case as not claimed or not run where the fault cannot strike.
        """
        self._needs(lab, FAULTS[name])
        if "network" not in FAULTS[name].needs:
            return None
        self._proxies[lab] = self._proxy(lab)
        return self._proxies[lab].url

    def strike(self, lab: Lab, name: str) -> int:
        """Let a fault of `catalogue.ALONE` strike a scenario now; returns how often it fired."""
        with self._environment(lab):
            return FAULTS[name].strike(Struck(lab, self._proxies.get(lab)))

    def long(self, faults: Sequence[Fault], seconds: float, told: Callable[[str], None]) -> Long:
        """Let faults strike one after the other for a while: each once, then in random order.

        Those that cannot strike here are left out, with the reason in `left_out`.
        """
        lab = Lab(self._session, "campaign")
        left_out: dict[str, str] = {}
        fired: dict[str, int] = {}
        possible: list[Fault] = []
        for each in faults:
            try:
                self._needs(lab, each)
                if "network" in each.needs:
                    self._server()
                possible.append(each)
            except (NotClaimed, NotRun) as error:
                left_out[each.name] = str(error)
        try:
            proxy = None if self._toxiproxy is None else self._proxy(lab)
            rng = random.Random(f"{self._session.options.seed} campaign")

            def strikes(campaign: Campaign) -> None:
                until = time.monotonic() + seconds
                waiting = list(possible)
                while possible and (waiting or time.monotonic() < until):
                    each = waiting.pop(0) if waiting else rng.choice(possible)
                    told(each.name)
                    fired[each.name] = fired.get(each.name, 0) + int(each.strike(campaign) or 0)
                while time.monotonic() < until:
                    time.sleep(0.1)

            with self._environment(lab):
                campaign = Campaign(lab, rng, through=proxy)
                campaign.run(strikes)
            return Long(fired, left_out, drained=not campaign.left_over(), events=len(lab.history))
        finally:
            lab.close()

    def _run(self, fault: Fault) -> Trial:
        began = time.monotonic()
        lab = Lab(self._session, f"fault {fault.name}")
        proxy: Proxy | None = None
        try:
            self._needs(lab, fault)
            if "network" in fault.needs:
                proxy = self._proxy(lab)
            rng = random.Random(f"{self._session.options.seed} {fault.name}")
            with self._environment(lab):
                campaign = Campaign(lab, rng, through=proxy)
                fired = campaign.run(fault.strike)
            healed = campaign.healed_at
            trial = self._judged(
                fault,
                lab,
                int(fired or 0),
                drained=not campaign.left_over(),
                recovery=None if healed is None else campaign.recovery(healed),
            )
            return replace(trial, seconds=time.monotonic() - began)
        finally:
            lab.close()

    @contextlib.contextmanager
    def _environment(self, lab: Lab) -> Iterator[None]:
        """Raise where broker or proxy end by themselves meanwhile: what happened then proves nothing.

        Raises `BrokerError` or `ToxiproxyError`, whatever else went wrong because of it.
        """
        try:
            yield
        finally:
            if self._toxiproxy is not None:
                self._toxiproxy.check()
            if not lab.broker.alive:
                raise BrokerError(f"the {lab.broker.kind} broker ended by itself: run again")

    def _needs(self, lab: Lab, fault: Fault) -> None:
        broker = lab.broker
        if {"broker", "network"} & set(fault.needs) and not broker.durable:
            raise NotClaimed(f"the {broker.kind} broker has no network and keeps nothing")
        if "broker" in fault.needs and not broker.ours:
            raise NotRun(f"{fault.name}: the broker was given by URL; leave --broker out")

    def _proxy(self, lab: Lab) -> Proxy:
        approach = lab.lane.approach()
        if approach is None:
            raise NotRun(
                f"network faults: a {lab.broker.kind} broker that was given by URL tells clients its "
                "own address, past any proxy; leave --broker out"
            )
        return self._server().proxy(approach)

    def _server(self) -> Toxiproxy:
        if self._toxiproxy is None:
            try:
                self._toxiproxy = Toxiproxy()
            except ToxiproxyMissing as error:
                raise NotRun(f"network faults: {error}") from error
        return self._toxiproxy

    def _judged(
        self, fault: Fault, lab: Lab, fired: int, *, drained: bool, recovery: float | None
    ) -> Trial:
        rows = [each.row() for each in lab.history]
        with tempfile.TemporaryDirectory(prefix="ampy-conform-trial-") as scratch:
            path = Path(scratch) / "events.jsonl"
            lines = (json.dumps({"case": fault.name, **each}, default=str) for each in rows)
            path.write_text("".join(f"{each}\n" for each in lines), "utf-8")
            connection = properties.open_history(self._session.contract, path)
            results = {each.rule.name: each for each in properties.judge(connection, self._rules)}
            near = {
                name: properties.around(connection, each.examples[0])
                for name, each in results.items()
                if each.total and each.rule.severity == "fail"
            }
            connection.close()
        neighbours = {
            name: tuple(" ".join(f"{key}={value}" for key, value in e.items()) for e in events)
            for name, events in near.items()
        }
        shown = {
            name: evidence.around(rows, events, results[name].examples[0].seq, lab)
            for name, events in near.items()
        }
        return Trial(fault, fired, drained, len(rows), recovery, results, 0.0, neighbours, shown)

    def close(self) -> None:
        """End the proxy server."""
        if self._toxiproxy is not None:
            self._toxiproxy.stop()
