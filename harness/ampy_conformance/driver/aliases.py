"""Names of the drivers shipped here. Strings only: the judge never imports the judged."""

from __future__ import annotations

ALIASES = {
    "mem": "py:ampy_conformance.bindings.memory_driver:Driver",
    "kafka": "py:ampy_conformance.bindings.kafka_driver:Driver",
    "nats": "py:ampy_conformance.bindings.nats_driver:Driver",
}

# What a shipped driver needs beside the default installation: an extra of this distribution.
EXTRAS = {"kafka": "kafka"}
