"""A raw connection to one Kafka broker: one request after the other, nothing in between.

The messages and record batches are coded by kafka-python (pure Python, supports Kafka 4); its
clients are not used, because ground truth has to be free of what clients do on their own:
retries, background threads, caches of metadata. No code is shared with librdkafka, the client
under the reference binding.
"""

from __future__ import annotations

import contextlib
import functools
import io
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.broker.facts import BrokerError

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT = "ampy-conform"
INSTALL = "pip install 'ampy-bus-conformance[kafka]'"
# No answer is longer: a fetch is bounded by its own limit.
MAX_ANSWER = 134217728
# A request that fails this soon met a connection that had died before: worth another one.
AT_ONCE = 0.5


class KafkaUnreachableError(BrokerError):
    """Nobody answered, or not in time: the outcome of the request is unknown."""


class KafkaRefusedError(BrokerError):
    """The broker answered with an error; `code` is Kafka's number for it, `name` its name."""

    def __init__(self, code: int, said: str = "") -> None:
        self.code = code
        self.name = error_name(code)
        super().__init__(f"Kafka refuses: {said or self.name} ({code})")


@dataclass(frozen=True)
class Cluster:
    """What a broker tells of its cluster; `nodes`: id to (host, port)."""

    id: str
    nodes: Mapping[int, tuple[str, int]]
    controller: int


@functools.cache
def protocol() -> Any:
    """Return kafka-python's package of messages. BrokerError where the extra is not installed."""
    try:
        import kafka.protocol.admin  # noqa: PLC0415 (an extra)
        import kafka.protocol.consumer  # noqa: PLC0415
        import kafka.protocol.metadata  # noqa: PLC0415
        import kafka.protocol.producer  # noqa: PLC0415
    except ImportError as error:
        raise BrokerError(f"Kafka needs an extra of this package: `{INSTALL}`") from error
    return kafka.protocol


def error_name(code: int) -> str:
    """Return Kafka's name of an error code."""
    with contextlib.suppress(ImportError):
        from kafka import errors  # noqa: PLC0415

        for_code: Any = errors.for_code
        return str(getattr(for_code(code), "message", "") or for_code(code).__name__)
    return str(code)


def accept(code: int, *tolerated: int, said: str | None = None) -> int:
    """Return an error code that is 0 or tolerated. KafkaRefusedError for any other."""
    if code and code not in tolerated:
        raise KafkaRefusedError(code, said or "")
    return code


class KafkaConnection:
    """One connection, negotiated. Safe to use from any thread; requests wait for one another."""

    def __init__(self, host: str, port: int, timeout: float = 5.0) -> None:
        self._messages = protocol()
        self._timeout = timeout
        self._lock = threading.Lock()
        self._number = 0
        self.address = f"{host}:{port}"
        self.usable = True
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise KafkaUnreachableError(
                f"no Kafka answers at {self.address} ({error.strerror or error})"
            ) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._versions = self._negotiate()
        except BaseException:
            self.close()
            raise

    def call(self, request: Any, version: int, timeout: float | None = None) -> Any:
        """Return the answer to a request in this version of its message.

        KafkaUnreachableError where it does not come; the connection is of no use after that.
        """
        lowest, highest = self._versions.get(request.API_KEY, (0, -1))
        if not lowest <= version <= highest:
            raise BrokerError(
                f"the broker at {self.address} does not know {request.name} {version}; "
                "the suite needs Kafka 4.1 or newer"
            )
        with self._lock:
            return self._exchange(request, version, timeout or self._timeout)

    def cluster(self) -> Cluster:
        """Return what the broker tells of its cluster."""
        found = self.call(self._messages.metadata.MetadataRequest(topics=[]), 12)
        return Cluster(
            id=found.cluster_id or "",
            nodes={each.node_id: (each.host, each.port) for each in found.brokers},
            controller=found.controller_id,
        )

    def close(self) -> None:
        """Leave the broker."""
        self.usable = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _negotiate(self) -> dict[int, tuple[int, int]]:
        request = self._messages.metadata.ApiVersionsRequest(
            client_software_name=CLIENT, client_software_version="0"
        )
        with self._lock:
            answer = self._exchange(request, 3, self._timeout)
        accept(answer.error_code)
        return {each.api_key: (each.min_version, each.max_version) for each in answer.api_keys}

    def _exchange(self, request: Any, version: int, timeout: float) -> Any:
        self._number += 1
        request.API_VERSION = version
        request.with_header(correlation_id=self._number, client_id=CLIENT)
        deadline = time.monotonic() + timeout
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(request.encode(header=True, framed=True))
            size = struct.unpack(">i", self._read(4, deadline))[0]
            if not 4 <= size <= MAX_ANSWER:
                raise KafkaUnreachableError(f"what answers at {self.address} is no Kafka")
            frame = self._read(size, deadline)
        except OSError as error:
            self.close()
            raise KafkaUnreachableError(
                f"Kafka at {self.address} does not answer {request.name} ({error})"
            ) from error
        return self._decoded(request, frame)

    def _decoded(self, request: Any, frame: bytes) -> Any:
        kind = request.header.get_response_class()
        file = io.BytesIO(frame)
        try:
            number = kind.parse_header(file).correlation_id
            answer = kind.decode(memoryview(frame)[file.tell() :])
        except (ValueError, LookupError, TypeError, struct.error) as error:
            self.close()
            raise KafkaUnreachableError(
                f"what answers at {self.address} is no Kafka that the suite understands ({error})"
            ) from error
        if number != self._number:
            self.close()
            raise KafkaUnreachableError(f"Kafka at {self.address} answers something else")
        return answer

    def _read(self, count: int, deadline: float) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)
            part = self._socket.recv(min(count - len(parts), 1 << 20))
            if not part:
                raise ConnectionError("the connection was closed")
            parts += part
        return bytes(parts)


class KafkaLink:
    """A connection that is made anew when the last one broke. Safe to use from any thread."""

    def __init__(self, host: str, port: int, timeout: float = 5.0) -> None:
        self._where = (host, port)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: KafkaConnection | None = None
        self._closed = False

    def connected(self) -> KafkaConnection:
        """Return a working connection. KafkaUnreachableError where there is none to be had."""
        with self._lock:
            if self._closed:
                raise KafkaUnreachableError("this lane of the broker is over")
            if self._connection is None or not self._connection.usable:
                self._connection = KafkaConnection(*self._where, timeout=self._timeout)
            return self._connection

    def call(self, request: Any, version: int, timeout: float | None = None) -> Any:
        """Carry out a request that may safely happen twice."""
        began = time.monotonic()
        try:
            return self.connected().call(request, version, timeout)
        except KafkaUnreachableError:
            if self._closed or time.monotonic() - began > AT_ONCE:
                raise
            return self.connected().call(request, version, timeout)

    def call_once(self, request: Any, version: int, timeout: float | None = None) -> Any:
        """Carry out a request that must not happen twice."""
        return self.connected().call(request, version, timeout)

    def close(self) -> None:
        """Leave the broker; a request under way ends with an error."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()
