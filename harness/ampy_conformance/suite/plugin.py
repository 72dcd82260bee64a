"""The pytest plugin: collects, runs and judges the cases, and alone writes the report."""

from __future__ import annotations

import datetime as dt
import platform
import secrets
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from ampy_conformance import __version__
from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance._layout import room
from ampy_conformance.broker import PROVISIONS
from ampy_conformance.contract.digest import tree_digest
from ampy_conformance.driver import artifact
from ampy_conformance.faults import catalogue
from ampy_conformance.report import lines, verdict
from ampy_conformance.report.outcomes import Exit, Outcome
from ampy_conformance.suite import cases, evidence, faulting, known, rollup
from ampy_conformance.suite.evidence import Evidence
from ampy_conformance.suite.lab import Lab
from ampy_conformance.suite.loading import Loading, Wish
from ampy_conformance.suite.session import Options, Session
from ampy_conformance.suite.trials import Trials
from ampy_conformance.suite.verdicts import NotClaimed, NotRun

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from ampy_conformance.contract.registry import Clause

LAB = pytest.StashKey[Lab]()
EVIDENCE = pytest.StashKey[Evidence]()
ERRORS = pytest.StashKey[list[BaseException]]()
CLAUSES = pytest.StashKey["Sequence[Clause]"]()
CASE = pytest.StashKey[cases.Case]()

# A driver that fails this often in a row will not recover; the remaining cases are not run.
TROUBLE_LIMIT = 5
# Loads take minutes: they run when this profile or group is asked for, or one of their clauses.
LOAD_PROFILE, LOAD_GROUP = "slo", "SLO"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options of a certification."""
    group = parser.getgroup("ampy-conform", "certification of an ampy-bus binding")
    group.addoption(
        "--driver", help="the binding under test: nats, kafka, mem, exec:..., py:..., tcp:..."
    )
    group.addoption("--broker-url", help="use this broker instead of an embedded one")
    group.addoption("--dedicated-broker", action="store_true", help="that broker is for tests only")
    group.addoption(
        "--provision", default="process", choices=list(PROVISIONS), help="how a broker is started"
    )
    group.addoption("--status", help="write here what the run is waiting for")
    group.addoption("--seed", type=int, help="seed of all random choices (default: a new one)")
    group.addoption("--report", help="write the JSON Lines report here")
    group.addoption("--history", help="write the event history of every case here")
    group.addoption(
        "--payload-excerpts", action="store_true", help="keep first bytes of payloads in the report"
    )
    group.addoption("--spec", help="folder of another contract")
    group.addoption("--faults", action="append", default=[], help="faults by name or family; all")
    group.addoption(
        "--load", default="full", choices=["full", "quick", "glance"], help="how long loads take"
    )
    group.addoption("--known-failures", help="YAML file of accepted failures")
    group.addoption("--time-scale", type=float, default=1.0, help="stretch all waiting times")
    group.addoption("--strict-should", action="store_true", help="warnings fail the run")
    for what in ("clause", "group", "profile"):
        group.addoption(f"--{what}", action="append", default=[], help=f"only this {what}")


def pytest_configure(config: pytest.Config) -> None:
    """Set up the run; mistakes of the user end here, with exit code 2."""
    config.addinivalue_line("markers", "clause(*ids): the clauses that the test judges")
    try:
        config.pluginmanager.register(Run(config), "ampy-conform-run")
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


class Run:
    """One certification."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.getoption
        if not option("--driver"):
            raise UsageError(
                "say which binding to judge: --driver nats (or kafka, exec:..., py:..., tcp:...)"
            )
        self.config = config
        spec = option("--spec")
        self.contract = contracts.load(Path(spec) if spec else None)
        self.options = Options(
            driver=option("--driver"),
            seed=secrets.randbelow(2**31) if option("--seed") is None else option("--seed"),
            broker_url=option("--broker-url"),
            dedicated_broker=option("--dedicated-broker"),
            time_scale=option("--time-scale"),
            history=Path(option("--history")) if option("--history") else None,
            provision=option("--provision"),
            status=Path(option("--status")) if option("--status") else None,
            excerpts=option("--payload-excerpts"),
        )
        path = option("--known-failures")
        self.known = known.load(Path(path), self.contract.clauses) if path else ()
        self.faults = frozenset(each.name for each in faulting.wanted(option("--faults")))
        self.selection = {
            what: [each.upper() if what != "profile" else each for each in option(f"--{what}")]
            for what in ("clause", "group", "profile")
        }
        self._check_selection()
        self.strict = option("--strict-should")
        report = option("--report")
        self.writer = lines.Writer(Path(report)) if report else None
        self.session: Session | None = None
        self.trouble: str | None = None
        self.misused = False
        self.claimed: set[str] = set()
        self.unasked: set[str] = set()
        self.judged: dict[str, list[tuple[str, Outcome]]] = defaultdict(list)
        self.messages: dict[str, list[str]] = defaultdict(list)
        self.used: set[known.KnownFailure] = set()
        self.tested: set[str] = set()
        self.accounted = 0
        self.deselected = False
        self.collected = 0
        self.in_a_row = 0
        self.shared: dict[str, Lab] = {}
        self.shown: dict[str, Evidence] = {}
        self.told: set[str] = set()
        self.making: list[str] = []
        self.code = Exit.HARNESS
        self.started = time.monotonic()

    def _check_selection(self) -> None:
        groups = {each.id.partition("-")[0] for each in self.contract.clauses.values()}
        names = {
            "clause": set(self.contract.clauses),
            "group": groups,
            "profile": set(self.contract.profiles),
        }
        folded = {each.upper(): each for each in self.contract.clauses}
        for what, wanted in self.selection.items():
            for index, each in enumerate(wanted):
                if what == "clause" and each in folded:
                    wanted[index] = folded[each]
                elif each not in names[what]:
                    raise UsageError(
                        f"there is no {what} {each!r}; `ampy-conform explain` lists the clauses"
                        if what == "clause"
                        else f"there is no {what} {each!r}; there are {', '.join(sorted(names[what]))}"
                    )

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a case of every fault and each property that it gives a chance to show."""
        if "cell" in metafunc.fixturenames:
            metafunc.parametrize(
                "cell",
                [
                    pytest.param(each, id=str(each), marks=pytest.mark.clause(*each.clauses))
                    for each in faulting.cells(self.contract)
                ],
            )
        if "strike" in metafunc.fixturenames:
            metafunc.parametrize("strike", catalogue.ALONE)

    # -- collection ---------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Attach clauses to cases and keep the selected ones."""
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            ids = [each for mark in item.iter_markers("clause") for each in mark.args]
            unknown = [each for each in ids if each not in self.contract.clauses]
            if unknown or not ids:
                what = f"names unknown clauses {unknown}" if unknown else "names no clause"
                raise pytest.UsageError(f"{item.nodeid} {what}")
            item.stash[CLAUSES] = tuple(self.contract.clauses[each] for each in dict.fromkeys(ids))
            self.tested.update(ids)
            if (fault := _fault(item)) is not None and fault not in self.faults:
                continue
            if item.get_closest_marker("load"):
                if self._asked_for_load(item.stash[CLAUSES]):
                    kept.append(item)
                continue
            (kept if self._selected(item.stash[CLAUSES]) else dropped).append(item)
        self.collected = len(kept) + len(dropped)
        if dropped:
            self.deselected = True
            self.config.hook.pytest_deselected(items=dropped)
        # Faults and loads last: what is wrong without them shows first.
        items[:] = sorted(
            kept,
            key=lambda item: (
                _fault(item) is not None,
                item.get_closest_marker("load") is not None,
            ),
        )

    def _asked_for_load(self, clauses: Sequence[Clause]) -> bool:
        wanted = self.selection
        named = any(each.id in wanted["clause"] for each in clauses)
        return named or LOAD_GROUP in wanted["group"] or LOAD_PROFILE in wanted["profile"]

    def _selected(self, clauses: Sequence[Clause]) -> bool:
        wanted = self.selection
        if not any(wanted.values()):
            return True
        return any(
            each.id in wanted["clause"]
            or each.id.partition("-")[0] in wanted["group"]
            or each.profile in wanted["profile"]
            for each in clauses
        )

    def pytest_deselected(self) -> None:
        """Note that the run is partial (also when `-k` did it)."""
        self.deselected = True

    # -- running ------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Connect to the binding and start its broker before the first case."""
        if session.testsfailed or self.config.option.collectonly:
            return None
        if not session.items:
            self._head(session)
            return True
        try:
            self.session = Session(self.contract, self.options)
        except ConformError as error:
            self.trouble = str(error)
            self.misused = isinstance(error, UsageError)
            self._head(session)
            return True
        self.claimed = {"core", *self.session.hello.profiles} & set(self.contract.profiles)
        judged = {each.profile for item in session.items for each in item.stash[CLAUSES]}
        self.unasked = {
            each for each in self.claimed - judged if self.contract.profiles[each].on_request
        }
        self.claimed -= self.unasked
        self._head(session)
        return None

    def _head(self, session: pytest.Session) -> None:
        facts: dict[str, Any] = {"connectable": self.options.driver}
        broker: dict[str, Any] = {}
        if self.session is not None:
            facts |= self.session.hello.facts() | {"clock_trusted": self.session.clock.trusted}
            facts["files"] = artifact.files(self.options.driver)
            assert self.session.broker is not None
            broker = self.session.broker.facts()
        self._write(
            "run",
            schema=lines.SCHEMA_VERSION,
            suite={
                "name": "ampy-bus-conformance",
                "version": __version__,
                "digest": tree_digest(room("conformance")),
            },
            contract={
                "name": self.contract.name,
                "version": self.contract.version,
                "digest": self.contract.digest,
            },
            driver=facts,
            broker=broker,
            seed=self.options.seed,
            selection={what: each for what, each in self.selection.items() if each},
            keyword=self.config.option.keyword or None,
            time_scale=self.options.time_scale,
            faults=sorted(self.faults),
            strict=self.strict,
            known_failures=[each.line() for each in self.known],
            collected=self.collected,
            planned=len(session.items),
            started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            platform={"system": platform.system(), "python": platform.python_version()},
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run one case, a second time where the driver died under test; write its line."""
        self._write("start", case=item.nodeid)
        began = time.monotonic()
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        case, reports = self._attempt(item, nextitem, died_before=False)
        if case.died_under_test:
            case, reports = self._attempt(item, nextitem, died_before=True)
            if case.outcome is Outcome.PASS:
                says = "the driver died on the tested record once and passed when tried again"
                case = cases.Case(dict.fromkeys(case.clauses, Outcome.INCONCLUSIVE), says)
        self._account(case)
        for each in reports:
            item.ihook.pytest_runtest_logreport(report=each)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        self._case_line(item, case, time.monotonic() - began)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """End a case before it begins where it need not run; pytest then clears up as after any."""
        clauses = item.stash[CLAUSES]
        if not any(each.profile in self.claimed for each in clauses):
            names = ", ".join(sorted({each.profile for each in clauses}))
            raise NotClaimed(f"the binding does not claim {names}")
        if self.in_a_row >= TROUBLE_LIMIT:
            raise NotRun(f"not run: the driver failed {TROUBLE_LIMIT} cases in a row")

    def _attempt(
        self, item: pytest.Item, nextitem: pytest.Item | None, *, died_before: bool
    ) -> tuple[cases.Case, list[pytest.TestReport]]:
        item.stash[ERRORS] = []
        if LAB in item.stash:
            del item.stash[LAB]
        if EVIDENCE in item.stash:
            del item.stash[EVIDENCE]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        errors = item.stash[ERRORS]
        lab = item.stash.get(LAB, None)
        case = cases.judge(
            item.stash[CLAUSES], lab, errors[0] if errors else None, died_before=died_before
        )
        item.stash[CASE] = case
        _colour(reports, case)
        return case, reports

    def _account(self, case: cases.Case) -> None:
        if case.outcome not in (Outcome.NOT_CLAIMED, Outcome.NOT_RUN):  # those say nothing of it
            self.in_a_row = self.in_a_row + 1 if case.driver_trouble else 0
        if case.blames is not None:
            self.messages[case.blames].append(case.says)
            for entry in self.known:
                if entry.covers(case.blames, case.says, dt.datetime.now(dt.UTC).date()):
                    case.clauses[case.blames] = Outcome.KNOWN
                    case.notes.append(f"known failure: {entry.issue}, until {entry.expires}")
                    self.used.add(entry)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, None]:
        """Keep what the test raised; the first error of setup, call, teardown counts."""
        yield
        if call.excinfo is not None:
            item.stash.setdefault(ERRORS, []).append(call.excinfo.value)

    # -- fixtures -----------------------------------------------------------------------

    @pytest.fixture
    def lab(self, request: pytest.FixtureRequest) -> Iterator[Lab]:
        """One test's workplace, isolated from every other."""
        assert self.session is not None
        self._end_shared()
        lab = Lab(self.session, request.node.nodeid)
        request.node.stash[LAB] = lab
        yield lab
        if request.node.stash.get(ERRORS, []) or lab.warned:
            request.node.stash[EVIDENCE] = lab.evidence or evidence.of_lab(lab)
        lab.close()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, Any, None]:
        """Note which fixture is being made: a shared lab bears its name."""
        self.making.append(fixturedef.argname)
        yield
        self.making.pop()

    @pytest.fixture(scope="session")
    def shared_lab(self) -> Iterator[Any]:
        """Return a function that makes labs for what many cases look at.

        Such a lab is over when the next one begins: brokers without accounts have one lane at a time.
        """
        assert self.session is not None

        def make() -> Lab:
            assert self.session is not None
            self._end_shared()
            lab = Lab(self.session, f"shared-{len(self.shared) + 1}")
            self.shared[self.making[-1]] = lab
            return lab

        yield make
        self._end_shared()

    def _end_shared(self) -> None:
        for name, each in self.shared.items():
            if not each.closed:
                self.shown[name] = evidence.of_lab(each, shared=True)
            each.close()

    @pytest.fixture(scope="session")
    def trials(self) -> Iterator[Trials]:
        """The campaigns of this run, each run when it is first asked for."""
        assert self.session is not None
        trials = Trials(self.session, done=lambda trial: self._write("trial", **trial.line()))
        yield trials
        trials.close()

    @pytest.fixture(scope="session")
    def loads(self) -> Loading:
        """The load runs of this run, each run when it is first asked for."""
        assert self.session is not None
        length = self.config.getoption("--load")
        wish = Wish(quick=length == "quick", glance=length == "glance")
        return Loading(
            self.session,
            wish,
            lambda what, seconds: self._tell(f"{what} ({seconds:.0f} s)"),
            lambda line: self._write("load", **line),
        )

    def _tell(self, text: str) -> None:
        if self.options.status is not None:
            self.options.status.write_text(text, "utf-8")

    # -- the end ------------------------------------------------------------------------

    def _write(self, kind: str, **fields: Any) -> None:
        if self.writer is not None and not self.writer.closed:
            self.writer.write(kind, **fields)

    def _case_line(self, item: pytest.Item, case: cases.Case, seconds: float) -> None:
        self.accounted += 1
        for clause, outcome in case.clauses.items():
            self.judged[clause].append((item.nodeid, outcome))
        told = case.outcome not in (Outcome.PASS, Outcome.NOT_CLAIMED)
        shown, shared = self._evidence(item) if told else (Evidence(), None)
        self._write(
            "case",
            id=item.nodeid,
            title=_title(item),
            clauses={clause: str(outcome) for clause, outcome in case.clauses.items()},
            outcome=str(case.outcome),
            says=case.says,
            expected=_bounded(case.expected),
            seen=_bounded(case.seen),
            blames=case.blames,
            notes=case.notes,
            seconds=round(seconds, 3),
            **({} if (fault := _fault(item)) is None else {"fault": fault}),
            **({} if (cell := _cell(item)) is None else {"property": cell.property}),
            **({} if shared is None else {"shared": shared}),
            **shown.fields(),
        )

    def _evidence(self, item: pytest.Item) -> tuple[Evidence, str | None]:
        """Return what a case has to show, and the name of what it shares with other cases.

        What is shared is written once, in a line of its own before the first case that needs it.
        """
        mine = item.stash.get(EVIDENCE, Evidence())
        name = next((each for each in _fixtures(item) if each in self.shared), None)
        if mine.events or name is None:
            return mine, None
        if name not in self.told:
            lab = self.shared[name]
            shown = self.shown[name] if lab.closed else evidence.of_lab(lab, shared=True)
            self.told.add(name)
            self._write("shared", name=name, **shown.fields())
        return Evidence(), name

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close driver and broker, roll up, write the end, and set the exit status."""
        if self.config.option.collectonly:
            return
        if exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            self.trouble = self.trouble or "interrupted"
        if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
            self.trouble = self.trouble or "the suite itself failed"
        if self.session is not None and self.accounted < len(session.items):
            says = (
                f"{len(session.items) - self.accounted} of {len(session.items)} cases did not run"
            )
            self.trouble = self.trouble or says
        # Where pytest was given a file, nothing is deselected, and yet this is not all of the suite.
        judged = {e.id for e in self.contract.clauses.values() if e.verified == "suite"}
        self.deselected = self.deselected or bool(judged - self.tested)
        try:
            if self.session is not None:
                self.session.close()
        except ConformError as error:
            self.trouble = self.trouble or str(error)
        results = rollup.clauses(
            self.contract, self.claimed, self.judged, self.tested, self.unasked
        )
        rows = [each.line() for each in results]
        for each in rows:
            self._write("clause", **each)
        end = verdict.end(
            rows,
            {
                name: verdict.Profile(name in self.claimed, each.claimable, name in self.unasked)
                for name, each in self.contract.profiles.items()
            },
            selected=self.deselected,
            stale=known.stale(
                self.known,
                {clause: self.messages[clause] for clause in self.judged},
                {
                    clause
                    for clause, rows in self.judged.items()
                    if {each for _, each in rows} & {Outcome.PASS, Outcome.WARN}
                },
                self.used,
                complete=not self.deselected,
                today=dt.datetime.now(dt.UTC).date(),
            ),
            strict=self.strict,
            trouble=self.trouble,
            misused=self.misused,
        )
        if self.session is not None and self.session.saved is not None:
            end["history"] = self.session.saved.facts()
        self.code = Exit(end["exit"])
        if self.writer is not None:
            self.writer.end(**end, seconds=round(time.monotonic() - self.started, 3))
        session.exitstatus = int(self.code)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say the verdict where pytest itself is the front end."""
        if self.trouble:
            terminalreporter.write_line(f"error: {self.trouble}")
        terminalreporter.write_line(
            f"ampy-conform: exit {int(self.code)} ({self.code.name.lower()})"
        )


def _cell(item: pytest.Item) -> faulting.Cell | None:
    """Return the fault and property of a case, None where it is an ordinary one."""
    call = getattr(item, "callspec", None)
    return None if call is None else call.params.get("cell")


def _fault(item: pytest.Item) -> str | None:
    """Return the fault that a case needs, None where it is an ordinary one."""
    cell, call = _cell(item), getattr(item, "callspec", None)
    return cell.fault if cell is not None else call and call.params.get("strike")


def _fixtures(item: pytest.Item) -> list[str]:
    """Return the names of the fixtures that a case uses."""
    return list(getattr(item, "fixturenames", ()))


def _title(item: pytest.Item) -> str:
    doc = getattr(getattr(item, "function", None), "__doc__", None) or ""
    return " ".join(doc.split())


def _bounded(value: Any, limit: int = 2000) -> Any:
    """Return a JSON value that is never long: reports are read by people."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | dict) and len(repr(value)) <= limit:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def _colour(reports: list[pytest.TestReport], case: cases.Case) -> None:
    """Make pytest's own reports agree with the case, one line each."""
    skipped = (Outcome.NOT_CLAIMED, Outcome.NOT_RUN)
    for each in reports:
        if each.failed and case.outcome in skipped:
            each.outcome = "skipped"
            each.longrepr = (str(each.location[0]), each.location[1] or 0, case.says)
        elif each.failed:
            each.longrepr = f"{case.outcome}: {case.says}"
