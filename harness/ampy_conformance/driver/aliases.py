"""Names of the drivers shipped here. Strings only: the judge never imports the judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ampy_conformance.driver.provision import Shipped, go, python

if TYPE_CHECKING:
    from collections.abc import Callable

# A connectable, or a driver that has to be made ready first.
ALIASES: dict[str, str | Shipped] = {
    "mem": "py:ampy_conformance.bindings.memory_driver:Driver",
    "kafka": "py:ampy_conformance.bindings.kafka_driver:Driver",
    "nats": "py:ampy_conformance.bindings.nats_driver:Driver",
    # The client library and nothing else: the control of the load tests.
    "raw-kafka": "py:ampy_conformance.bindings.raw_kafka:Driver",
    "raw-mem": "py:ampy_conformance.bindings.raw:MemoryDriver",
    "raw-nats": "py:ampy_conformance.bindings.raw_nats:Driver",
    "ampy-bus-python": python("ampy-bus-python"),
    "ampy-bus-go": go("ampy-bus-go", "nats"),
    "ampy-bus-go-kafka": go("ampy-bus-go", "kafka"),
}


def resolve(connectable: str) -> str:
    """Return the connectable that an alias stands for, and any other as it is.

    Makes a shipped driver ready where that is still to be done; raises `DriverUnavailable`.
    """
    found = ALIASES.get(connectable.removesuffix(":"), connectable)
    return found.connectable() if isinstance(found, Shipped) else found


def prepare(connectable: str, say: Callable[[str], None]) -> None:
    """Make a shipped driver ready where that is still to be done, and say that it takes a while."""
    found = ALIASES.get(connectable.removesuffix(":"))
    if isinstance(found, Shipped) and not found.ready:
        say(f"making the driver {found.name} ready (once; minutes on a busy machine) ...")
        found.connectable()


# What a shipped driver needs beside the default installation: an extra of this distribution.
EXTRAS = {"kafka": "kafka", "raw-kafka": "kafka"}
