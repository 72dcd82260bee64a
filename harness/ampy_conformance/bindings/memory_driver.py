"""The reference binding on the memory broker."""

from __future__ import annotations

from typing import ClassVar

from ampy_conformance.bindings.driver import ReferenceDriver, identity
from ampy_conformance.bindings.memory_transport import MemoryTransport


class Driver(ReferenceDriver):
    """What `mem` stands for."""

    identity: ClassVar[dict[str, str]] = identity("memory", "asyncio")
    transport = MemoryTransport
