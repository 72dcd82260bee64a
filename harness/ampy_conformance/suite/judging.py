"""How a test judges: the only calls that can pass, fail or leave open a clause."""

from __future__ import annotations

from typing import Any

from ampy_conformance.suite.verdicts import ClauseFailed, Inconclusive


class Judging:
    """Clauses are named by these calls; one that was never judged cannot pass."""

    def __init__(self) -> None:
        self.checked: dict[str, bool] = {}
        self.warned: dict[str, str] = {}
        self.observations: list[str] = []
        self.controlled = False

    def fit(self) -> None:
        """Raise `Inconclusive` unless machine, broker and driver are fit to be judged now."""
        raise NotImplementedError

    def check_alive(self) -> None:
        """Let the death of a driver show as what it is, before anything else is said."""
        raise NotImplementedError

    def control(self, holds: object, says: str) -> None:
        """End the case as inconclusive unless the positive control holds."""
        if not holds:
            self.check_alive()
            raise Inconclusive(f"control: {says}")
        self.controlled = True

    def covered(self, holds: object, says: str) -> None:
        """End the case as inconclusive unless what it needs to see has occurred."""
        if not holds:
            self.check_alive()
            raise Inconclusive(f"coverage: {says}")

    def equal(self, clause: str, expected: Any, seen: Any, says: str) -> None:
        """Judge `clause`: what was seen equals what the contract expects."""
        self.checked[clause] = True
        if expected != seen:
            raise ClauseFailed(clause, says, expected, seen)

    def true(
        self, clause: str, holds: object, says: str, *, expected: Any = None, seen: Any = None
    ) -> None:
        """Judge `clause`: the condition holds."""
        self.checked[clause] = True
        if not holds:
            raise ClauseFailed(clause, says, expected, seen)

    def must(
        self, clause: str, happened: object, says: str, *, expected: Any = None, seen: Any = None
    ) -> None:
        """Judge `clause`: something awaited has happened.

        Patience that ran out proves nothing on a machine that is not fit: then the case is
        inconclusive. Nor does it where the binding is dead: that is judged as a death.
        """
        self.checked[clause] = True
        if not happened:
            self.check_alive()
            self.fit()
            raise ClauseFailed(clause, says, expected, seen)

    def warn(self, clause: str, says: str) -> None:
        """Note a deviation that a settled ambiguity tolerates."""
        self.checked[clause] = True
        self.warned[clause] = says

    def note(self, text: str) -> None:
        """Keep an observation for the report."""
        self.observations.append(text)
