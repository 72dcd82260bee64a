"""What one run has: the binding's driver, a broker, and the facts about both."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ampy_conformance import broker as brokers
from ampy_conformance import driver as drivers
from ampy_conformance import history as histories
from ampy_conformance.contract.samples import Samples
from ampy_conformance.history import Recorder
from ampy_conformance.suite.bus import Handles

if TYPE_CHECKING:
    from ampy_conformance.broker import Broker
    from ampy_conformance.contract import Contract
    from ampy_conformance.driver import Driver, Hello


@dataclass(frozen=True)
class Options:
    """How a run was asked for."""

    driver: str
    seed: int
    broker_url: str | None = None
    dedicated_broker: bool = False
    time_scale: float = 1.0
    history: Path | None = None
    provision: str = "process"
    status: Path | None = None
    excerpts: bool = False


class Session:
    """Driver processes and the broker of one run; closed as a whole.

    One driver process is pooled and serves many buses; tests that kill get fresh ones.
    """

    def __init__(self, contract: Contract, options: Options) -> None:
        self.contract = contract
        self.options = options
        self.directory = Path(tempfile.mkdtemp(prefix="ampy-conform-"))
        self.handles = Handles()
        self.samples = Samples(contract, options.seed)
        self.failed_in_a_row = 0
        self.lost_controls = 0
        self.lost_letters: Counter[str] = Counter()
        self._states = 0
        self._pooled: Driver | None = None
        self.broker: Broker | None = None
        self.history: histories.Writer | None = None
        self.saved: histories.Saved | None = None
        try:
            self._pooled, self.hello = self._connect()
            self.clock = self._pooled.check_clock()
            self._tell(f"starting {self.hello.broker}")
            self.broker = brokers.provision(
                self.hello.broker,
                domains=tuple(contract.domains),
                contract=contract,
                url=options.broker_url,
                dedicated=options.dedicated_broker,
                directory=self.directory,
                how=options.provision,
                progress=lambda done, whole: self._tell(
                    f"fetching {self.hello.broker}: {done >> 20} of {whole >> 20} MB"
                ),
            )
            if options.history is not None:
                self.history = histories.Writer(
                    options.history,
                    driver=self.hello.facts(),
                    broker=self.broker.facts(),
                    contract=contract.digest,
                    seed=options.seed,
                )
        except BaseException:
            self.close()
            raise

    def recorder(self, case: str) -> Recorder:
        """Return the recorder of one case; what it records is written while the case runs."""
        writer = self.history
        return Recorder(None if writer is None else lambda event: writer.add(case, event))

    def _tell(self, text: str) -> None:
        """Tell whoever started this run what it is waiting for."""
        if self.options.status is not None:
            self.options.status.write_text(text, "utf-8")

    def _connect(self) -> tuple[Driver, Hello]:
        driver = drivers.connect(self.options.driver, time_scale=self.options.time_scale)
        try:
            hello = driver.hello(self.contract.name, self.contract.version, self.contract.digest)
        except BaseException:
            driver.kill()
            raise
        return driver, hello

    def pooled(self) -> Driver:
        """Return the shared driver process, a new one where the last is gone."""
        if self._pooled is None or not self._pooled.alive:
            self._drop()
            self._pooled, _ = self._connect()
        return self._pooled

    def _drop(self) -> None:
        if self._pooled is not None:
            with contextlib.suppress(drivers.DriverError):
                self._pooled.kill()
            self._pooled = None

    def fresh(self) -> Driver:
        """Start a driver process of its own for one test."""
        driver, _ = self._connect()
        return driver

    def respawn(self, driver: Driver) -> Driver:
        """Start `driver` again after its death: same arguments, incarnation + 1."""
        again = driver.respawn()
        again.hello(self.contract.name, self.contract.version, self.contract.digest)
        return again

    def state_dir(self) -> str:
        """Return a new folder for what a binding has to remember."""
        self._states += 1
        path = self.directory / f"state-{self._states}"
        path.mkdir()
        return str(path)

    def close(self) -> None:
        """End every process of the run and remove its files."""
        if self._pooled is not None:
            with contextlib.suppress(drivers.DriverError):
                self._pooled.stop()
            self._drop()
        try:
            if self.broker is not None:
                self.broker.stop()
        finally:
            if self.history is not None:
                self.saved = self.history.end()
            shutil.rmtree(self.directory, ignore_errors=True)
