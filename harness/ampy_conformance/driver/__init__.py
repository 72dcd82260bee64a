"""The judge's end of the driver protocol: any binding, reached over a pipe or a socket."""

from ampy_conformance.driver.aliases import prepare
from ampy_conformance.driver.connect import connect
from ampy_conformance.driver.errors import (
    CapabilityMissing,
    DriverDied,
    DriverError,
    DriverNotFound,
    DriverRefused,
    DriverTimeout,
    DriverUnavailable,
    ProtocolViolation,
)
from ampy_conformance.driver.peer import Driver
from ampy_conformance.driver.pending import Pending
from ampy_conformance.driver.welcome import ClockVerdict, Hello

__all__ = [
    "CapabilityMissing",
    "ClockVerdict",
    "Driver",
    "DriverDied",
    "DriverError",
    "DriverNotFound",
    "DriverRefused",
    "DriverTimeout",
    "DriverUnavailable",
    "Hello",
    "Pending",
    "ProtocolViolation",
    "connect",
    "prepare",
]
