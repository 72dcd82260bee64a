"""Degenerate peers: what must never score, and how each of them has to end.

The peers themselves are in `mutants/peers.py`, which is judged code: here they are only
named. `exits` are the exit codes a peer may end with, `passes` how many clauses it may
pass at most, `fails` clauses that must be proven broken.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """One degenerate peer and what the suite has to say of it."""

    name: str
    what: str
    exits: tuple[int, ...]
    fails: tuple[str, ...] = ()
    passes: int = 0
    time_scale: float = 0.3

    @property
    def connectable(self) -> str:
        """How the suite reaches the peer."""
        words = "".join(each.capitalize() for each in self.name.split("-"))
        return f"py:ampy_conformance.mutants.peers:{words}"


PEERS = (
    Peer("silent", "answers hello and nothing else", exits=(3,), time_scale=0.1),
    Peer("hang-up", "ends at the first frame after hello", exits=(3,)),
    Peer(
        "ack-everything",
        "says yes to all, delivers nothing",
        exits=(1,),
        fails=("QOS-01", "TOP-03"),
    ),
    Peer("echo", "sends every frame back", exits=(3,)),
    Peer("refuse-everything", "says no to all", exits=(1, 6)),
)
