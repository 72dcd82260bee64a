"""`ampy-conform report`: one module in this folder a verb, each with a click command `command`."""

from __future__ import annotations

from ampy_conformance.cli._verbs import Verbs

command = Verbs(
    name="report",
    package=__name__,
    path=__path__,
    help="Read, render, compare and sign certification reports.",
    epilog="Start with:  ampy-conform certify nats --report nats.jsonl",
)
