"""Lines to and from the harness: over standard input and output, or one TCP connection."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from ampy_conformance.protocol import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Callable

FLUSHING = 5.0


class Lines(asyncio.Protocol):
    """Takes arriving bytes apart into lines; `closed` is set at their end."""

    def __init__(self) -> None:
        self._early: list[bytes] = []
        self._take: Callable[[bytes], None] = self._early.append
        self._rest = b""
        self.closed = asyncio.Event()
        self.overlong = False
        self.connected = asyncio.Event()
        self.transport: asyncio.BaseTransport | None = None

    def begin(self, take: Callable[[bytes], None]) -> None:
        """Hand out lines from now on, those that came early first."""
        self._take = take
        for each in self._early:
            take(each)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        self.transport = transport
        self.connected.set()

    def data_received(self, data: bytes) -> None:
        """Take whole lines, keep what has not ended yet."""
        if self.overlong:
            return
        if b"\n" not in data and len(self._rest) + len(data) <= MAX_LINE:
            self._rest += data
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for each in lines:
            self._take(each)
        if len(self._rest) > MAX_LINE:
            self.overlong = True
            self.closed.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's name)
        """Note the end."""
        self.closed.set()


class _Sink(asyncio.BaseProtocol):
    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's name)
        self.closed.set()


class Output:
    """Lines to the harness, in order; those of one turn of the loop leave in one write."""

    def __init__(self, transport: asyncio.WriteTransport, closed: asyncio.Event) -> None:
        self._transport = transport
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._lines: list[bytes] = []

    def put(self, line: bytes) -> None:
        """Queue a line; on the loop's thread."""
        if not self._lines:
            self._loop.call_soon(self._flush)
        self._lines.append(line)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        self._transport.writelines(lines)

    async def close(self) -> None:
        """Write what is left, as far as the harness still reads."""
        self._flush()
        self._transport.close()
        try:
            async with asyncio.timeout(FLUSHING):
                await self._closed.wait()
        except TimeoutError:
            self._transport.abort()


async def standard(lines: Lines) -> Output:
    """Connect standard input and output; what a binding prints goes to standard error."""
    loop = asyncio.get_running_loop()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    await loop.connect_read_pipe(lambda: lines, sys.stdin.buffer)
    transport, sink = await loop.connect_write_pipe(_Sink, out)
    return Output(transport, sink.closed)


async def attached(lines: Lines, port: int) -> Output:
    """Wait on a local TCP port for the one harness that attaches."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: lines, "127.0.0.1", port)
    number = server.sockets[0].getsockname()[1]
    print(f"waiting for the suite: use tcp:127.0.0.1:{number}", file=sys.stderr, flush=True)
    await lines.connected.wait()
    server.close()
    assert isinstance(lines.transport, asyncio.WriteTransport)
    return Output(lines.transport, lines.closed)
