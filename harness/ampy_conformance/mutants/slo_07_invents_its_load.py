"""Sends nothing under load, and stamps and acknowledges as if it had."""

from __future__ import annotations

from ampy_conformance.bindings.synthetic import Constant

CLAUSE = "SLO-07"
SAYS = "acknowledged under load are not in the log"


class Driver(Constant):
    """A peer whose load is made up."""
