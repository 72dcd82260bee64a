"""What changed between two sets of facts, each change named at the outermost place it concerns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import UsageError
from ampy_conformance.gate.facts import tree
from ampy_conformance.gate.relations import relation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ampy_conformance.gate.facts import Fact, Facts, Place


@dataclass(frozen=True)
class Change:
    """One change: `kind` is added, removed or changed; of payloads also broken or unjudged, of texts reworded.

    `before` and `after` are values, or nested data of what was added or removed as a whole;
    `entity` is what the change happened to (a header, a clause), as it is now, or was.
    """

    place: Place
    kind: str
    before: Any
    after: Any
    file: str
    line: int
    entity: Any = None
    note: str | None = None  # what a tool said of it

    @property
    def where(self) -> str:
        """The place as text."""
        return "/".join(self.place)


def compare(old: Facts, new: Facts) -> list[Change]:
    """Return the changes from `old` to `new`, in the order of places."""
    return [
        *_outermost("removed", old, new),
        *_outermost("added", new, old),
        *(
            _change("changed", place, old, new, new[place])
            for place in sorted(old.keys() & new.keys())
            if (old[place].value, old[place].inner) != (new[place].value, new[place].inner)
        ),
    ]


def _outermost(kind: str, there: Facts, other: Facts) -> list[Change]:
    """Return what is `there` and not in the other, without what is within it."""
    missing = sorted(there.keys() - other.keys())
    outer = [each for each in missing if each[:-1] in other or len(each) == 1]
    old, new = (there, other) if kind == "removed" else (other, there)
    return [_change(kind, place, old, new, there[place]) for place in outer]


def _change(kind: str, place: Place, old: Facts, new: Facts, fact: Fact) -> Change:
    owner = place[:2]
    return Change(
        place,
        kind,
        tree(old, place),
        tree(new, place),
        fact.file,
        fact.line,
        entity=_entity(owner, new if owner in new else old),
    )


def _entity(owner: Place, facts: Mapping[Place, Fact]) -> Any:
    return tree(facts, owner) if len(owner) > 1 else None


TEXTS = {"clauses": "text", "ambiguities": "settlement"}


def acknowledge(changes: list[Change], ids: Sequence[str]) -> list[Change]:
    """Return the changes, those of texts that somebody has read as of the kind reworded.

    `ids` are clauses or ambiguities. Raises `UsageError` where such a text did not change, or where
    it has other numbers, literals or turning words: that is never a mere rewording.
    """
    left = set(ids)
    found = []
    for each in changes:
        root, name, what = (*each.place, "", "", "")[:3]
        if name in ids and TEXTS.get(root) == what and each.kind == "changed":
            if relation("wording", each.before, each.after) == "restated":
                raise UsageError(
                    f"{name} has other numbers, literals or turning words: that is no rewording"
                )
            left.discard(name)
            each = replace(each, kind="reworded")  # noqa: PLW2901 (the same change, read)
        found.append(each)
    if left:
        raise UsageError(
            f"the text of {min(left)} did not change, so that there is nothing reworded"
        )
    return found
