"""What can go wrong with a driver, each said in one sentence."""

from __future__ import annotations

from ampy_conformance._errors import HarnessError, UsageError


class DriverError(HarnessError):
    """The driver, not the binding's contract, is the trouble: exit 3, never a verdict."""


class DriverNotFound(UsageError):
    """There is no such driver, or it cannot be started."""


class DriverDied(DriverError):
    """The process ended, or closed its end of the connection."""


class DriverTimeout(DriverError):
    """A request was not answered within its deadline."""


class ProtocolViolation(DriverError):
    """What the driver sent is not the protocol."""


class DriverRefused(DriverError):
    """The driver answered a request with an error."""

    def __init__(self, op: str, code: str, message: str, *, definite: bool) -> None:
        super().__init__(f"{op} was refused with {code}: {message}")
        self.op = op
        self.code = code
        self.definite = definite
