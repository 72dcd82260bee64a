"""How a test speaks: the exceptions that end a case, and what each of them means.

Conformance tests never raise these themselves; the lab does. Anything else that a test
raises is a fault of the suite and becomes `error`, never a verdict.
"""

from __future__ import annotations


class Verdict(Exception):
    """The end of a case before its last line."""


class ClauseFailed(Verdict):
    """Proof that `clause` is broken."""

    def __init__(
        self, clause: str, says: str, expected: object = None, seen: object = None
    ) -> None:
        super().__init__(f"{clause}: {says}")
        self.clause = clause
        self.says = says
        self.expected = expected
        self.seen = seen


class Inconclusive(Verdict):
    """No proof either way; the message starts with `control:`, `environment:` or `coverage:`."""


class NotClaimed(Verdict):
    """The binding does not claim what this case needs."""


class NotRun(Verdict):
    """This harness cannot run the case here; says why and what would be needed."""
