"""Compare two contracts: changes, what they mean, what they demand, what they touch, what shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ampy_conformance.gate import changes as changing
from ampy_conformance.gate import evidence as trying
from ampy_conformance.gate import facts, payloads, touched, version
from ampy_conformance.gate.rules import AUDIENCES, CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.references import SuiteRef
    from ampy_conformance.gate.changes import Change
    from ampy_conformance.gate.evidence import Evidence, Refusal
    from ampy_conformance.gate.rules import Rule, Rules
    from ampy_conformance.gate.sides import Side

FORMAT = "ampy-spec-diff/1"
SHOWN = 3  # refusals that stand for all of a change


@dataclass(frozen=True)
class Judged:
    """One change with its rule, the clauses it touches, and the records that show it."""

    change: Change
    rule: Rule
    clauses: tuple[str, ...]
    shown: tuple[Refusal, ...] = ()
    domains: tuple[str, ...] = ()

    def grade(self, audience: str) -> str:
        """Return the class for an audience."""
        return self.rule.producers if audience == "producers" else self.rule.consumers

    @property
    def gravest(self) -> str:
        """The graver of the two classes."""
        return min(map(self.grade, AUDIENCES), key=CLASSES.index)


@dataclass(frozen=True)
class Contradiction:
    """A refusal that the rules say there is none of: one of them is wrong."""

    refusal: Refusal
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What became of a comparison."""

    old: Side
    new: Side
    changes: tuple[Judged, ...]
    evidence: Evidence | None
    contradictions: tuple[Contradiction, ...]
    tests: tuple[str, ...]
    envelopes: Mapping[str, list[str]]
    reports: Mapping[str, Mapping[str, str]]
    payloads_alone: bool
    strict: bool = False

    @property
    def versions(self) -> tuple[str, str]:
        """The declared versions of both sides."""
        return _contract(self.old).version, _contract(self.new).version

    @property
    def demand(self) -> str:
        """The step that the changes demand: major, minor, patch or none."""
        return version.demanded({e.gravest for e in self.changes}, self.versions[0])

    @property
    def step(self) -> str:
        """The step that the new side declares."""
        return version.declared(*self.versions)

    @property
    def illegal(self) -> list[Judged]:
        """The changes that no version makes legal (TOP-21)."""
        return [each for each in self.changes if not each.rule.within_major]

    @property
    def unjudged(self) -> list[Judged]:
        """The changes that could not be judged here."""
        return [each for each in self.changes if each.gravest == "unjudged"]

    @property
    def verdict(self) -> str:
        """Return the first that applies: undeclared, contradicted, unjudged, declared, unchanged."""
        if self.illegal:
            return "undeclared"
        if not self.payloads_alone and not self._declared:
            return "undeclared"
        if self.contradictions:
            return "contradicted"
        if self.unjudged:
            return "unjudged"
        return "declared" if self.changes else "unchanged"

    @property
    def _declared(self) -> bool:
        """Whether the declared step is enough; what nobody can observe counts when strict."""
        if self.step == "backwards":
            return False
        quiet = self.demand == "patch" and not self.strict
        return quiet or version.enough(self.step, self.demand)

    @property
    def exit_code(self) -> int:
        """The exit code, as `docs/verdicts.md` has it."""
        codes = {"undeclared": 1, "contradicted": 3, "unjudged": 6}
        return codes.get(self.verdict, 0)

    @property
    def sentence(self) -> str:  # noqa: PLR0911 (one a verdict)
        """The verdict in one sentence."""
        old, new = self.versions
        if self.illegal:
            return (
                f"{len(self.illegal)} payload changes break a major that is in use: they need a new "
                "package v{n+1} and topics of that version (TOP-21); no version of the contract "
                "makes them legal"
            )
        if self.verdict == "undeclared":
            wanted = version.following(old, self.demand)
            how = "is lower" if self.step == "backwards" else "is not enough"
            return f"these changes demand version {wanted} or higher; {new}, after {old}, {how}"
        if self.verdict == "contradicted":
            return "records contradict a rule: correct it in spec/evolution.yaml before you go on"
        if self.verdict == "unjudged":
            return f"payload changes were not judged: buf is not there; {payloads.REMEDY}"
        if self.verdict == "unchanged":
            return "nothing changed"
        if self.payloads_alone:
            return "payloads only grow: consumers of today skip what is new"
        if self.step == "none":
            wanted = version.following(old, self.demand)
            return f"nothing that anybody can observe changed; version {wanted} would say so"
        return f"{old} to {new} is {self.step}, and {self.demand} is demanded"


def compare(
    old: Side,
    new: Side,
    rules: Rules,
    *,
    buf: str | None,
    judges: Mapping[str, Sequence[SuiteRef]],
    past: Mapping[str, Mapping[str, str]],
    payloads_alone: bool = False,
    strict: bool = False,
    reworded: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Result:
    """Compare two sides; raises `SpecError` or `HarnessError`, one sentence each.

    `judges` are tests by clause, `past` the outcomes of clauses by report; `payloads_alone`
    says that a side has no contract of its own, so that no version is declared; `reworded` are
    ids of clauses and ambiguities whose new words somebody has read.
    """
    sides = (_contract(old), _contract(new))
    progress("comparing the contracts")
    found = changing.compare(facts.read(sides[0].root), facts.read(sides[1].root))
    found = changing.acknowledge(found, reworded)
    progress("comparing the payload schemas")
    files = [payloads.read(each.descriptors, each.name) for each in (old, new)]
    found += payloads.compare(files[0], files[1], rules.buf, buf)
    judged = [_judged(each, rules, sides, files[0]) for each in found]
    tried: Evidence | None = None
    contradictions: list[Contradiction] = []
    if judged:
        progress("judging the records of each under the other")
        tried = trying.gather(*sides, found)
        judged, contradictions = _weigh(judged, tried.refusals)
    judged.sort(key=lambda e: (CLASSES.index(e.gravest), e.change.place))
    ids = list(dict.fromkeys(clause for each in judged for clause in each.clauses))
    return Result(
        old=old,
        new=new,
        changes=tuple(judged),
        evidence=tried,
        contradictions=tuple(contradictions),
        tests=tuple(touched.tests(ids, judges)),
        envelopes=touched.envelopes(tried.made) if tried and all(tried.made.values()) else {},
        reports=touched.reports(
            [each for e in judged if e.gravest != "editorial" for each in e.clauses], past
        ),
        payloads_alone=payloads_alone,
        strict=strict,
    )


def _contract(side: Side) -> Contract:
    assert side.contract is not None
    return side.contract


def _judged(
    change: Change, rules: Rules, sides: tuple[Contract, Contract], files: payloads.Files
) -> Judged:
    rule = rules.of(change)
    domains: tuple[str, ...] = ()
    if change.place[0] == "domains" and len(change.place) > 1:
        domains = (change.place[1],)
    elif change.place[0] == "payloads":
        hit = payloads.packages(change.place, files)
        domains = tuple(each.name for each in payloads.domains(sides[0], hit))
    return Judged(change, rule, touched.clauses(change, rule, sides), domains=domains)


# -- records against rules ------------------------------------------------------------------


def _weigh(
    judged: Sequence[Judged], refusals: Sequence[Refusal]
) -> tuple[list[Judged], list[Contradiction]]:
    """Give each change the refusals that it explains; what none explains contradicts a rule."""
    shown: dict[int, list[Refusal]] = {}
    wrong: dict[tuple[str, ...], Contradiction] = {}
    for refusal in refusals:
        suspects = [n for n, each in enumerate(judged) if _explains(each, refusal)]
        breaking = [n for n in suspects if _expects(judged[n], refusal)]
        if not suspects:  # nothing points at it: any change that breaks this audience may be it
            breaking = [n for n, each in enumerate(judged) if _expects(each, refusal)]
        if breaking:
            for n in breaking if suspects else ():
                shown.setdefault(n, []).append(refusal)
        else:
            rules = tuple(sorted({judged[n].rule.id for n in suspects or range(len(judged))}))
            wrong.setdefault((refusal.audience, *rules), Contradiction(refusal, rules))
    weighed = [
        Judged(e.change, e.rule, e.clauses, tuple(shown.get(n, ())[:SHOWN]), e.domains)
        for n, e in enumerate(judged)
    ]
    return weighed, list(wrong.values())


def _expects(each: Judged, refusal: Refusal) -> bool:
    return each.grade(refusal.audience) in ("breaking", "unjudged")


def _explains(each: Judged, refusal: Refusal) -> bool:
    """Tell whether a refusal is about what this change is about."""
    place = each.change.place
    if place[0] == "headers":
        return len(place) > 1 and place[1] in refusal.where
    if place[0] == "payloads":
        return refusal.where in ("payload", trying.DECODED) and refusal.domain in each.domains
    if place[0] == "domains":
        return refusal.domain in each.domains and (
            refusal.clause in each.clauses or len(place) == 2
        )
    return refusal.clause in each.clauses


# -- as data --------------------------------------------------------------------------------


def data(result: Result) -> dict[str, Any]:
    """Return the result as `schemas/spec-diff.json` describes it."""
    old, new = result.versions
    tried = result.evidence
    return {
        "format": FORMAT,
        "old": {"name": result.old.name, "version": old, "digest": _contract(result.old).digest},
        "new": {"name": result.new.name, "version": new, "digest": _contract(result.new).digest},
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "says": result.sentence,
        "demanded": result.demand,
        "declared": None if result.payloads_alone else result.step,
        "changes": [_row(each) for each in result.changes],
        "evidence": None
        if tried is None
        else {
            "records": tried.records,
            "accepted": tried.accepted,
            "self_refused": tried.self_refused,
            "unmade": tried.unmade,
        },
        "contradictions": [
            {"rules": list(each.rules), **_refusal(each.refusal)} for each in result.contradictions
        ],
        "touched": {
            "clauses": list(dict.fromkeys(c for each in result.changes for c in each.clauses)),
            "tests": list(result.tests),
            "envelopes": {"added": [], "removed": [], "changed": [], **result.envelopes},
            "reports": {name: dict(each) for name, each in result.reports.items()},
        },
    }


def _row(each: Judged) -> dict[str, Any]:
    change = each.change
    return {
        "rule": each.rule.id,
        "where": change.where,
        "kind": change.kind,
        "producers": each.rule.producers,
        "consumers": each.rule.consumers,
        "says": each.rule.says,
        "note": change.note,
        "before": change.before,
        "after": change.after,
        "file": change.file,
        "line": change.line,
        "clauses": list(each.clauses),
        "domains": list(each.domains),
        "legal": each.rule.within_major,
        "shown_by": [_refusal(one) for one in each.shown],
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "audience": refusal.audience,
        "record": refusal.record,
        "clause": refusal.clause,
        "message": refusal.message,
    }
