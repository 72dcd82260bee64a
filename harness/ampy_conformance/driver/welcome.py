"""The handshake: who is there, what it claims, and whether its clock can be believed."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance import __version__
from ampy_conformance.driver.aliases import EXTRAS
from ampy_conformance.driver.errors import DriverDied, DriverNotFound, DriverRefused
from ampy_conformance.protocol import CANNOT_LOAD
from ampy_conformance.protocol.explain import printable

if TYPE_CHECKING:
    from ampy_conformance.driver.peer import Driver

STAMPS = 100
FAR_OFF = 1_000_000


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
    """Exchange `hello`; a wrong nonce or version is a violation of the protocol.

    Profiles and capabilities that this suite does not know are kept as they are.
    """
    nonce = secrets.token_hex(8)
    low, high = driver.frames.versions
    try:
        answer = driver.request(
            "hello",
            protocol=[low, high],
            suite=__version__,
            contract={"name": name, "version": version, "digest": digest},
            nonce=nonce,
        )
    except DriverDied as error:
        raise _stillborn(driver, error) from error
    if answer["nonce"] != nonce:
        raise driver.violated("hello was not answered with the nonce that was sent")
    if not low <= answer["protocol"] <= high:
        ours = str(low) if low == high else f"{low} to {high}"
        raise driver.violated(
            f"the driver chose protocol {printable(answer['protocol'])}, this suite speaks {ours}: "
            "update the driver or the suite"
        )
    return Hello(
        identity=dict(answer["identity"]),
        profiles=tuple(answer["profiles"]),
        capabilities=tuple(answer["capabilities"]),
        clock=answer["clock"],
        protocol=answer["protocol"],
    )


def _stillborn(driver: Driver, error: DriverDied) -> DriverDied | DriverNotFound:
    """Say what to do about a driver that ended before it said who it is."""
    if driver.exit_code == CANNOT_LOAD and driver.name != "":
        last = driver.stderr_tail().splitlines()[-1:]
        says = f"the driver {driver.name} cannot be loaded: {''.join(last)}"
        if extra := EXTRAS.get(driver.name):
            says += f"; it needs an extra: pip install 'ampy-bus-conformance[{extra}]'"
        return DriverNotFound(says)
    how, semicolon, said = str(error).partition("; ")
    remedy = "run its command by hand to see why"
    return DriverDied(f"{how} before it answered hello: {remedy}{semicolon}{said}")


def check_clock(driver: Driver) -> ClockVerdict:
    """Compare 100 stamps with ours: each has to lie between our own before and after.

    A clock that cannot be believed is no fault: the harness stamps instead.
    """
    try:
        for _ in range(STAMPS):
            before = time.monotonic_ns()
            stamp = driver.request("clock")["t_ns"]
            after = time.monotonic_ns()
            if not before <= stamp <= after:
                return ClockVerdict(
                    trusted=False,
                    reason=f"the driver's clock is {_off(stamp, before, after)}; "
                    "the harness stamps instead",
                )
    except DriverRefused as refusal:
        code = printable(refusal.code)
        return ClockVerdict(
            trusted=False, reason=f"the driver has no clock ({code}); the harness stamps instead"
        )
    return ClockVerdict(trusted=True, reason=f"{STAMPS} stamps lay between ours")


def _off(stamp: int, before: int, after: int) -> str:
    nanoseconds = min(abs(stamp - before), abs(stamp - after))
    word = "behind" if stamp < before else "ahead of"
    if nanoseconds >= FAR_OFF * 10**9:  # as integers: a hostile stamp is too long for a float
        return f"more than {FAR_OFF} s {word} ours"
    return f"{nanoseconds / 1e6:.3f} ms {word} ours"
