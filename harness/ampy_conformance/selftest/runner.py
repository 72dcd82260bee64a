"""Run the suite against mutants and peers, and decide what was killed, and why."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ampy_conformance import _process
from ampy_conformance._errors import ConformError, HarnessError
from ampy_conformance.report import lines
from ampy_conformance.suite import child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ampy_conformance.contract.references import MutantRef
    from ampy_conformance.report.lines import Report
    from ampy_conformance.selftest.peers import Peer

LIMIT_SECONDS = 300.0
# Mutants fail many controls, and each costs its whole patience. The correct bindings run with the
# same scale: were it too short, they would show it.
TIME_SCALE = 0.5
# What is judged under load alone: a group, and a clause of another.
LOADED = ("SLO-", "RPL-11")
# Correct bindings: nothing may be held against them.
CORRECT = ("mem", "nats")
LOADED_CORRECT = "mem"


@dataclass(frozen=True)
class Kill:
    """What the suite made of one mutant or peer."""

    name: str
    target: str
    killed: bool
    why: str
    seconds: float
    hit: dict[str, str] = field(default_factory=dict)
    looks: int = 1


@dataclass(frozen=True)
class Work:
    """What is run against the suite: a mutant, a degenerate peer, or a correct binding."""

    name: str
    kind: str  # mutant, peer or correct
    run: Callable[[int, float], Kill]  # takes the seed and the scale of all waiting times
    heavy: bool = False

    def deserves_another_look(self, kill: Kill) -> bool:
        """Tell whether a busy machine may be the reason; an accusation of the right never is."""
        return not kill.killed and not (self.kind == "correct" and kill.hit)


def work(found: Sequence[MutantRef], others: Sequence[Peer]) -> list[Work]:
    """Return all that there is to run, what takes longest first."""
    everything = [
        *(Work(each, "correct", partial(reference, each), heavy=True) for each in CORRECT),
        Work(f"{LOADED_CORRECT}-under-load", "correct", under_load, heavy=True),
        *(Work(each.name, "peer", partial(peer, each), heavy=True) for each in others),
        *(Work(e.name, "mutant", partial(mutant, e), heavy=bool(e.faults)) for e in found),
    ]
    return sorted(everything, key=lambda each: not each.heavy)


def shard(wanted: Sequence[Work], number: int, of: int) -> list[Work]:
    """Return part `number` (from 1) of `of` parts; together they are everything, once."""
    return list(wanted[number - 1 :: of])


def run(
    wanted: Sequence[Work], seed: int, jobs: int, done: Callable[[Kill], None]
) -> list[tuple[Work, Kill]]:
    """Run all of it, `jobs` at a time; `done` is told of each as it ends.

    What ended otherwise than it must is looked at again, alone and with all patience: with many at
    a time and half the patience, a busy machine leaves open what it should not.
    """

    def one(each: Work) -> tuple[Work, Kill]:
        kill = each.run(seed, TIME_SCALE)
        if not each.deserves_another_look(kill):
            done(kill)
        return each, kill

    def again(each: Work, kill: Kill) -> tuple[Work, Kill]:
        if each.deserves_another_look(kill):
            kill = replace(each.run(seed, 1.0), looks=2, seconds=kill.seconds)
            done(kill)
        return each, kill

    # A worker thread outlives the processes it starts: their parent-death signal is tied to it.
    with ThreadPoolExecutor(jobs) as pool:
        first = list(pool.map(one, wanted))
    with ThreadPoolExecutor(1) as pool:
        return list(pool.map(lambda each: again(*each), first))


def mutant(ref: MutantRef, seed: int, time_scale: float = TIME_SCALE) -> Kill:
    """Judge one mutant: killed means by its clause and for its stated reason."""
    group, loaded = ref.clause.partition("-")[0], ref.clause.startswith(LOADED)
    began = time.monotonic()
    try:
        report = _certify(
            ref.connectable,
            seed,
            # Loads run one by one: a group of them would take minutes.
            groups=() if ref.faults or loaded else (group,),
            clauses=(ref.clause,) if loaded and not ref.faults else (),
            time_scale=time_scale,
            faults=ref.faults,
        )
    except ConformError as error:
        return Kill(
            ref.name, ref.clause, killed=False, why=str(error), seconds=time.monotonic() - began
        )
    seconds = time.monotonic() - began
    hit = _hit(report)
    said = [each["says"] for each in report.cases if each["blames"] == ref.clause]
    if not said:
        others = ", ".join(hit) or "nothing"
        why = f"survived {ref.clause}; hit {others} (exit {report.end['exit']})"
        return Kill(ref.name, ref.clause, killed=False, why=why, hit=hit, seconds=seconds)
    if not any(ref.says in each for each in said):
        why = f"died of something else: {said[0]!r} does not say {ref.says!r}"
        return Kill(ref.name, ref.clause, killed=False, why=why, hit=hit, seconds=seconds)
    why = next(each for each in said if ref.says in each)
    return Kill(ref.name, ref.clause, killed=True, why=why, seconds=seconds, hit=hit)


def peer(each: Peer, seed: int, time_scale: float = TIME_SCALE) -> Kill:
    """Judge one degenerate peer: it must end as it has to, and pass next to nothing."""
    began = time.monotonic()
    try:
        report = _certify(
            each.connectable, seed, time_scale=each.time_scale * time_scale / TIME_SCALE
        )
    except ConformError as error:
        return Kill(each.name, "", killed=False, why=str(error), seconds=time.monotonic() - began)
    seconds = time.monotonic() - began
    passed = sorted(
        clause for clause, line in report.clauses.items() if line["outcome"] in ("pass", "warn")
    )
    missing = [clause for clause in each.fails if report.clauses[clause]["outcome"] != "fail"]
    code = report.end["exit"]
    problems = []
    if code not in each.exits:
        problems.append(f"ended with exit {code} instead of {' or '.join(map(str, each.exits))}")
    if len(passed) > each.passes:
        problems.append(f"passed {len(passed)} clauses: {', '.join(passed[:6])}")
    if missing:
        problems.append(f"was not failed for {', '.join(missing)}")
    why = "; ".join(problems) or f"exit {code}, {len(passed)} clauses passed"
    return Kill(each.name, each.what, not problems, why, seconds, _hit(report))


def reference(name: str, seed: int, time_scale: float = TIME_SCALE) -> Kill:
    """Judge the suite by a correct binding: it must be conformant, without a single failure."""
    began = time.monotonic()
    try:
        report = _certify(name, seed, time_scale=time_scale)
    except ConformError as error:
        return Kill(name, "", killed=False, why=str(error), seconds=time.monotonic() - began)
    seconds = time.monotonic() - began
    code, hit = report.end["exit"], _hit(report)
    why = f"exit {code}, {report.end['counts'].get('pass', 0)} clauses passed"
    if hit:
        why += f"; held against it: {', '.join(hit)}"
    return Kill(name, "a correct binding", not code and not hit, why, seconds, hit)


def under_load(seed: int, time_scale: float = TIME_SCALE) -> Kill:
    """Judge the load tests by a correct binding: a glance may leave everything open, and fails nothing."""
    name, began = f"{LOADED_CORRECT}-under-load", time.monotonic()
    try:
        report = _certify(LOADED_CORRECT, seed, profiles=("slo",), time_scale=time_scale)
    except ConformError as error:
        return Kill(name, "", killed=False, why=str(error), seconds=time.monotonic() - began)
    seconds = time.monotonic() - began
    code, hit = report.end["exit"], _hit(report)
    why = f"exit {code}, {len(report.loads)} load runs"
    if hit:
        why += f"; held against it: {', '.join(hit)}"
    right = not hit and code in (0, 6) and bool(report.loads)
    return Kill(name, "a correct binding under load", right, why, seconds, hit)


def _hit(report: Report) -> dict[str, str]:
    return {
        line["blames"]: report.clauses[line["blames"]]["outcome"]
        for line in report.cases
        if line["blames"]
    }


def _certify(
    connectable: str,
    seed: int,
    *,
    groups: tuple[str, ...] = (),
    clauses: tuple[str, ...] = (),
    profiles: tuple[str, ...] = (),
    time_scale: float = 1.0,
    faults: str | None = None,
) -> Report:
    with tempfile.TemporaryDirectory(prefix="ampy-conform-selftest-") as scratch:
        path = Path(scratch) / "report.jsonl"
        log = Path(scratch) / "pytest.log"
        request = child.Request(
            driver=connectable,
            report=path,
            seed=seed,
            groups=groups,
            clauses=clauses,
            profiles=profiles,
            load="glance",
            time_scale=time_scale,
            faults=(faults,) if faults else (),
            case="under_fault" if faults else None,
        )
        process = child.start(request, log)
        try:
            process.wait(LIMIT_SECONDS)
        except Exception as error:
            raise HarnessError(f"{connectable} took more than {LIMIT_SECONDS:.0f} s") from error
        finally:
            _process.end(process)
        try:
            return lines.read(path)
        except ConformError as error:
            tail = " / ".join(log.read_text("utf-8", "replace").strip().splitlines()[-3:])
            raise HarnessError(f"no report ({error}): {tail}") from error


def matrix(kills: Sequence[Kill]) -> Iterator[tuple[str, str, bool, list[str]]]:
    """Yield the rows of the kill matrix: mutant, target, killed, clauses hit besides."""
    for each in kills:
        yield each.name, each.target, each.killed, sorted(set(each.hit) - {each.target})
