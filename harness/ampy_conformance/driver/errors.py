"""What can go wrong with a driver, each said in one sentence.

The names say what happened to the driver; that they are errors shows in `DriverError`.
"""

from __future__ import annotations

from ampy_conformance._errors import HarnessError, UsageError


class DriverError(HarnessError):
    """The driver, not the binding's contract, is the trouble: exit 3, never a verdict."""


class DriverNotFound(UsageError):
    """There is no such driver, or it cannot be started."""


class DriverUnavailable(DriverError):
    """A driver shipped here cannot be made ready: no toolchain, no network."""


class DriverDied(DriverError):
    """The process ended, or closed its end of the connection."""


class DriverTimeout(DriverError):
    """A request was not answered within its deadline."""


class ProtocolViolation(DriverError):
    """What the driver sent is not the protocol."""


class CapabilityMissing(DriverError):
    """The way in which the driver is reached does not allow this."""


class DriverRefused(DriverError):
    """The driver answered a request with an error; `definite`: it certainly did not happen."""

    def __init__(self, op: str, code: str, message: str, *, definite: bool) -> None:
        super().__init__(f"{op} was refused with {code}: {message}")
        self.op = op
        self.code = code
        self.message = message
        self.definite = definite
