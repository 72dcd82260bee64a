"""Reaching a NATS server: its URL, TLS, and the handshake."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from ampy_conformance.broker.facts import BrokerError, redact

DEFAULT_PORT = 4222


@dataclass(frozen=True)
class Link:
    """An open connection after the handshake; `stream` reads from it."""

    socket: socket.socket
    stream: BinaryIO
    info: dict[str, Any]


def dial(server: Server, timeout: float, tls: ssl.SSLContext | None = None) -> Link:
    """Connect and shake hands. BrokerError: nobody answers, no NATS there, or refused."""
    try:
        raw = socket.create_connection((server.host, server.port), timeout)
    except OSError as error:
        raise BrokerError(
            f"nobody answers at {server.shown} ({error.strerror or error}); "
            "start the broker or correct the URL"
        ) from error
    with contextlib.ExitStack() as undo:
        undo.callback(raw.close)
        try:
            link = _greet(server, raw, tls, undo)
        except (OSError, ValueError) as error:
            raise BrokerError(
                f"{server.shown} does not speak the NATS protocol ({type(error).__name__}); "
                "correct the URL"
            ) from error
        undo.pop_all()
        return link


def _greet(
    server: Server, link: socket.socket, tls: ssl.SSLContext | None, undo: contextlib.ExitStack
) -> Link:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    info = json.loads(_first_line(link).removeprefix(b"INFO "))
    if server.tls or info.get("tls_required"):
        context = tls or ssl.create_default_context()
        link = context.wrap_socket(link, server_hostname=server.host)
        undo.callback(link.close)
    options = {"verbose": False, "pedantic": False, "lang": "raw", "version": "1", "protocol": 1}
    options |= {"headers": True, "no_responders": True, **server.login}
    link.sendall(b"CONNECT %b\r\nPING\r\n" % json.dumps(options).encode())
    stream = link.makefile("rb")
    undo.callback(stream.close)
    while (line := stream.readline()) != b"PONG\r\n":
        if line.startswith(b"-ERR"):
            said = line[4:].strip(b" '\r\n").decode("utf-8", "replace")
            raise BrokerError(f"{server.shown} refuses the connection: {said}")
        if not line:
            raise BrokerError(f"{server.shown} hung up; is it a NATS server?")
    link.settimeout(None)
    return Link(link, stream, info)


@dataclass(frozen=True)
class Server:
    """One server of a URL, with what it takes to log in."""

    host: str
    port: int
    tls: bool
    login: dict[str, str]
    shown: str


def split(url: str) -> Server:
    """Take one server URL apart: nats:// or tls://, user:password@ or token@."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if parts.scheme not in ("nats", "tls") or not host:
        raise BrokerError(f"{redact(url)!r} is no broker URL; write nats://HOST:PORT")
    login = {}
    if parts.password is not None:
        login = {"user": unquote(parts.username or ""), "pass": unquote(parts.password)}
    elif parts.username:
        login = {"auth_token": unquote(parts.username)}
    return Server(host, port, parts.scheme == "tls", login, redact(url))


def _first_line(link: socket.socket) -> bytes:
    """Read the greeting byte by byte: what follows may be TLS."""
    line = b""
    while not line.endswith(b"\n"):
        byte = link.recv(1)
        if not byte or len(line) > 1 << 16:
            raise ValueError("no greeting")
        line += byte
    return line
