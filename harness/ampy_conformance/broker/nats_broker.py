"""NATS brokers: one of our own with an account a lane, or one that the user names."""

from __future__ import annotations

import collections
import threading
import weakref
from typing import TYPE_CHECKING

from ampy_conformance._errors import UsageError
from ampy_conformance.broker import jetstream
from ampy_conformance.broker.base import Broker, Lane
from ampy_conformance.broker.facts import BrokerError
from ampy_conformance.broker.nats_observer import NatsObserver
from ampy_conformance.broker.nats_server import ACCOUNTS, NatsServer
from ampy_conformance.broker.nats_wire import Connection

if TYPE_CHECKING:
    from pathlib import Path

    from ampy_conformance.broker.streams import Streams


class NatsLane(Lane):
    """One account (ours) or all of a dedicated broker (the user's), with empty streams."""

    def __init__(self, name: str, url: str, streams: Streams, *, anew: bool = False) -> None:
        self.name = name
        self.url = url
        self.names = streams.names
        self._observer = NatsObserver(url, streams)
        try:
            self._observer.make_streams(anew=anew)
        except BaseException:
            self._observer.close()
            raise

    def untap(self) -> str:
        """Let the observer stop listening to what passes."""
        self._observer.untap()
        return self.url

    def observe(self) -> NatsObserver:
        """Return the lane's observer."""
        return self._observer

    def close(self) -> None:
        """Leave the lane."""
        self._observer.close()


class EmbeddedNats(Broker):
    """A nats-server of our own; each lane is an account, so topics need no renaming."""

    kind = "nats"
    transport_headers = ("nats-",)
    provenance = "embedded"
    durable = True

    def __init__(
        self, streams: Streams, directory: Path | None = None, accounts: int = ACCOUNTS
    ) -> None:
        self._streams = streams
        self.server = NatsServer(directory, accounts)
        # For callers that end without `stop`: no folder is left behind.
        self._finalizer = weakref.finalize(self, self.server.stop)
        self.version = self.server.version
        self._more = accounts
        self._free = collections.deque(self.server.accounts)
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Tell whether the server process runs."""
        return self.server.alive

    def lane(self) -> NatsLane:
        """Return a fresh account with streams; accounts are added when they are used up."""
        with self._lock:
            if not self._free:
                self._free.extend(self.server.add_accounts(self._more))
            account = self._free.popleft()
        return NatsLane(account.name, self.server.url(account), self._streams)

    @property
    def pid(self) -> int | None:
        """The server's process."""
        return self.server.pid

    def kill(self) -> None:
        """End the server with SIGKILL."""
        self.server.kill()

    def restart(self) -> None:
        """Start the killed server again on its port and data."""
        self.server.start()

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._finalizer()


class UserNats(Broker):
    """A broker that the user runs, with credentials for one account: one lane after another."""

    kind = "nats"
    transport_headers = ("nats-",)
    provenance = "user"
    durable = True

    def __init__(self, streams: Streams, url: str, *, dedicated: bool) -> None:
        self._streams = streams
        self._url = url
        link = Connection(url)
        try:
            self.version = str(link.info.get("version", ""))
            jetstream.call(link, "INFO")
        finally:
            link.close()
        if not dedicated:
            names = " and ".join(streams.patterns)
            raise UsageError(
                f"a certification deletes and makes the streams {names} on the broker; "
                "add --dedicated-broker if that broker is for tests only"
            )

    @property
    def alive(self) -> bool:
        """Tell whether the broker answers."""
        try:
            Connection(self._url, timeout=1.0).close()
        except BrokerError:
            return False
        return True

    def lane(self) -> NatsLane:
        """Return the broker with its streams made anew; the lane before is over."""
        return NatsLane("dedicated", self._url, self._streams, anew=True)

    def kill(self) -> None:
        """Refuse: it is not ours."""
        raise BrokerError("a broker given by URL is not killed; leave --broker out for this test")

    def restart(self) -> None:
        """Refuse: it is not ours."""
        raise BrokerError(
            "a broker given by URL is not restarted; leave --broker out for this test"
        )

    def stop(self) -> None:
        """Leave the broker as it is."""
