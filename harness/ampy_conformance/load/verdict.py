"""The verdict on one limit: looks, a confirming run, and the raw client as a control.

A state machine without input or output, so that the simulation judges with the same code as a
run. It is given rounds; each round holds the binding's stretches and the control's of the same
minutes, and the state of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from ampy_conformance.load import exceedance
from ampy_conformance.load.exceedance import Look, Word
from ampy_conformance.load.intervals import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ampy_conformance.load.exceedance import Series

# The error of each bound, look by look. Early looks are stricter: when few bursts were seen, their
# sizes are hardly known, and the simulation is wrong there most often. 578 blocks of 100 ms without
# any exceedance still decide the first look of a minute.
ALPHAS = {1: (0.02,), 2: (0.003, 0.02)}
ALLOWED = 0.01
# A failure is gross when at least this share exceeds the limit: then the control need not be proven
# to keep it, but its share has to be less than a third of the binding's, bound against bound.
GROSS = 0.1
APART = 3


class Outcome(StrEnum):
    """The verdict on a limit."""

    PASS = "pass"  # noqa: S105 (not a password)
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    WARN = "warn"  # a target that is missed, where the contract lays down no load


class Stage(StrEnum):
    """What the next round is for."""

    LOOK = "look"
    CONFIRM = "confirm"


@dataclass(frozen=True)
class Round:
    """One A B B A: the stretches of both sides, and why the machine could not judge, if so.

    `starved`: others took the processor away from a binding that needed it; then nothing that is
    slow can be held against the binding.
    """

    binding: Sequence[Series]
    control: Sequence[Series]
    starved: str = ""


@dataclass(frozen=True)
class Decision:
    """The verdict, in words, with the looks that it rests on."""

    outcome: Outcome
    reason: str
    binding: Look
    control: Look
    stage: Stage

    def facts(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return {
            "outcome": str(self.outcome),
            "reason": self.reason,
            "binding": self.binding.facts(),
            "control": self.control.facts(),
        }


@dataclass
class Judge:
    """Decides one limit as rounds come in; `add` returns None while another round is needed."""

    limit_ns: int
    looks: int = 2
    allowed: float = ALLOWED
    stage: Stage = Stage.LOOK
    _rounds: list[Round] = field(default_factory=list)
    _alpha: float = 0.0

    def add(self, each: Round) -> Decision | None:
        """Take a round and return the verdict, or None where it takes another round."""
        if self.stage is Stage.CONFIRM:
            return self._confirmed(each)
        self._alpha = ALPHAS[self.looks][len(self._rounds)]
        self._rounds.append(each)
        last = len(self._rounds) >= self.looks
        binding, control = self._look(self._rounds)
        if binding.word is Word.PASS:
            return self._decide(Outcome.PASS, "", binding, control)
        if binding.word is Word.FAIL:
            if why := self._excuse(binding, control, self._rounds):
                return self._inconclusive(why, binding, control) if last else None
            self.stage = Stage.CONFIRM
            return None
        if not last:
            return None
        return self._inconclusive(self._undecided(binding, control), binding, control)

    def _confirmed(self, each: Round) -> Decision:
        """Judge the confirming round by itself: what failed before has to fail again."""
        binding, control = self._look([each])
        if binding.word is not Word.FAIL:
            why = "the limit was exceeded, and the confirming run did not show it again"
            return self._inconclusive(why, binding, control)
        if why := self._excuse(binding, control, [each]):
            return self._inconclusive(why, binding, control)
        lost = f", {binding.lost} of them never delivered" if binding.lost else ""
        why = (
            f"{binding.share:.1%} of the records took longer than {self.limit_ns / 1e6:g} ms{lost} "
            f"(at least {binding.low:.1%}, {self.allowed:.0%} are allowed)"
        )
        return self._decide(Outcome.FAIL, why, binding, control)

    def _look(self, rounds: Sequence[Round]) -> tuple[Look, Look]:
        look = partial(
            exceedance.look, limit_ns=self.limit_ns, alpha=self._alpha, allowed=self.allowed
        )
        # The control vouches for the machine, it passes nothing: there a burst more is no matter.
        return (
            look([one for each in rounds for one in each.binding], wary=True),
            look([one for each in rounds for one in each.control]),
        )

    def _excuse(self, binding: Look, control: Look, rounds: Sequence[Round]) -> str:
        """Return why a proven exceedance is not the binding's, as far as anybody can tell."""
        starved = next((each.starved for each in rounds if each.starved), "")
        if starved:
            return f"environment: {starved}"
        if control.word is Word.PASS:
            return ""
        if control.low <= self.allowed and GROSS < binding.low > APART * control.high:
            return ""
        if binding.lost and not control.lost and self._loses(binding):
            return ""  # what never came needs no clock, and is no matter of a busy machine
        return (
            f"environment: the raw client beside it is not proven to keep the limit either "
            f"({control.share:.2%} over, at most {control.high:.2%})"
        )

    def _loses(self, binding: Look) -> bool:
        """Tell whether losses alone are proven to be more than is allowed."""
        size = binding.effective * binding.lost / max(1, binding.exceeding)
        share = binding.lost / binding.records
        low, _ = clopper_pearson(share * size, size, self._alpha)
        return low > self.allowed

    def _undecided(self, binding: Look, control: Look) -> str:
        need = exceedance.needed_blocks(self._alpha, self.allowed)
        if control.low > self.allowed:
            return f"environment: the raw client itself exceeds the limit ({control.share:.1%})"
        if not binding.exceeding and binding.effective < need:
            return (
                f"too short to decide: {binding.effective:.0f} blocks of 100 ms, "
                f"{need} are needed where nothing exceeds the limit"
            )
        if binding.low > self.allowed:
            return (
                f"{binding.share:.2%} exceed the limit, in {binding.episodes} episodes that are not "
                "spread over the run: one event of the machine may be the cause"
            )
        return (
            f"too close to decide: {binding.share:.2%} exceed the limit, "
            f"between {binding.low:.2%} and {binding.high:.2%}"
        )

    def _inconclusive(self, why: str, binding: Look, control: Look) -> Decision:
        return self._decide(Outcome.INCONCLUSIVE, why, binding, control)

    def _decide(self, outcome: Outcome, why: str, binding: Look, control: Look) -> Decision:
        return Decision(outcome, why, binding, control, self.stage)
