"""The handshake: who is there, what it claims, and whether its clock can be believed."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance import __version__
from ampy_conformance.driver.errors import DriverRefused, ProtocolViolation

if TYPE_CHECKING:
    from ampy_conformance.driver.peer import Driver

STAMPS = 100


@dataclass(frozen=True)
class Hello:
    """Identity and claims of a binding."""

    identity: dict[str, Any]
    profiles: tuple[str, ...]
    capabilities: tuple[str, ...]
    clock: str
    protocol: int

    @property
    def broker(self) -> str:
        """Which broker the harness has to provide."""
        return str(self.identity["broker"])

    def facts(self) -> dict[str, Any]:
        """Return what the report says of the binding."""
        return {
            **self.identity,
            "profiles": list(self.profiles),
            "capabilities": list(self.capabilities),
            "clock": self.clock,
            "protocol": self.protocol,
        }


@dataclass(frozen=True)
class ClockVerdict:
    """Whether the driver's stamps may be used, and why not."""

    trusted: bool
    reason: str


def shake(driver: Driver, name: str, version: str, digest: str) -> Hello:
    """Exchange `hello`; a wrong nonce or version is a violation of the protocol."""
    nonce = secrets.token_hex(8)
    ours = driver.frames.version
    answer = driver.request(
        "hello",
        protocol=[ours, ours],
        suite=__version__,
        contract={"name": name, "version": version, "digest": digest},
        nonce=nonce,
    )
    if answer["nonce"] != nonce:
        raise driver.violated("hello was not answered with the nonce that was sent")
    if answer["protocol"] != ours:
        raise driver.violated(
            f"the driver chose protocol {answer['protocol']}, this suite speaks {ours}: "
            "update the driver or the suite"
        )
    return Hello(
        identity=dict(answer["identity"]),
        profiles=tuple(answer["profiles"]),
        capabilities=tuple(answer["capabilities"]),
        clock=answer["clock"],
        protocol=answer["protocol"],
    )


def check_clock(driver: Driver) -> ClockVerdict:
    """Compare 100 stamps with ours: each has to lie between our own before and after."""
    try:
        for _ in range(STAMPS):
            before = time.monotonic_ns()
            stamp = driver.request("clock")["t_ns"]
            after = time.monotonic_ns()
            if not before <= stamp <= after:
                off = min(abs(stamp - before), abs(stamp - after)) / 1e6
                return ClockVerdict(
                    False, f"the driver's clock is {off:.1f} ms off; the harness stamps instead"
                )
    except DriverRefused as refusal:
        return ClockVerdict(False, f"the driver has no clock ({refusal.code})")
    return ClockVerdict(True, "every stamp lay between ours")


__all__ = ["ClockVerdict", "Hello", "ProtocolViolation", "check_clock", "shake"]
