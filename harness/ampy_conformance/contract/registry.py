"""The clause registry: clauses, profiles, settled ambiguities, read strictly from `spec/`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import yaml

from ampy_conformance._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LEVELS = ("MUST", "MUST NOT", "SHOULD", "MAY", "UNSPECIFIED")
SUBJECTS = ("binding", "producer", "operations", "project")
# suite: a test of the suite judges it; validate: the validator does, on records;
# attested: no test can show it; planned: not verified yet; project: this project's own data.
VERIFIED = ("suite", "validate", "attested", "planned", "project")
NEED_REASON = ("attested", "planned", "project")


class SpecError(UsageError):
    """The contract's data does not parse, or contradicts itself."""


@dataclass(frozen=True)
class Clause:
    """One clause: what it demands, of whom, and how it is verified."""

    id: str
    level: str
    section: tuple[str, ...]
    text: str
    subject: str
    profile: str
    observable: tuple[str, ...]
    verified: str
    group: str
    origin: str = "stated"
    condition: str | None = None
    intent: str = ""
    reason: str | None = None
    ambiguities: tuple[str, ...] = ()
    look: tuple[str, ...] = ()
    retired: str | None = None

    @property
    def must(self) -> bool:
        """Whether breaking it is a failure and not a warning."""
        return self.level in ("MUST", "MUST NOT")


@dataclass(frozen=True)
class Ambiguity:
    """A place where the contract contradicts itself, and how it is settled."""

    id: str
    where: str
    problem: str
    settlement: str


@dataclass(frozen=True)
class Profile:
    """A set of clauses that a binding claims, and passes, as a whole.

    `on_request`: it is judged only where a run asks for it, because that takes minutes.
    """

    name: str
    title: str
    optional: bool
    claimable: bool = True
    on_request: bool = False

    @property
    def judged(self) -> str:
        """When its clauses are judged."""
        if not self.claimable:
            return "of no binding"
        if self.on_request:
            return "where it is claimed and a run names it"
        return "where it is claimed" if self.optional else "always"


def read_yaml(path: Path) -> Any:
    """Return the data of a YAML file; `SpecError` where there is none."""
    try:
        return yaml.load(path.read_text("utf-8"), Loader=_LOADER)  # noqa: S506 (a safe loader)
    except OSError as error:
        raise SpecError(
            f"cannot read {path}: {error.strerror}; is this the folder of a contract?"
        ) from error
    except (ValueError, yaml.YAMLError) as error:  # no text, no YAML, or a date that is none
        first = str(error).replace("\n", " ")
        raise SpecError(f"{path} does not parse: {first}") from error


# The C loader reads the registry in a tenth of the time; it is there in all usual wheels.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def build(kind: type[Any], where: str, data: Any, **more: Any) -> Any:
    """Build a frozen fact from a mapping; unknown and missing fields are named."""
    if not isinstance(data, dict):
        raise SpecError(f"{where}: expected a mapping")
    known = {each.name: each for each in fields(kind)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise SpecError(f"{where}: unknown field {unknown[0]!r}")
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }
    try:
        return kind(**values, **more)
    except TypeError as error:
        raise SpecError(f"{where}: {str(error).partition(') ')[2] or error}") from error


def load_clauses(spec: Path, profiles: Mapping[str, Profile]) -> dict[str, Clause]:
    """Return all clauses by id, in the order of the files and of the clauses in them."""
    found: dict[str, Clause] = {}
    paths = sorted((spec / "clauses").glob("*.yaml"))
    if not paths:
        raise SpecError(f"there are no clauses in {spec / 'clauses'}: is this a contract's folder?")
    for path in paths:
        data = read_yaml(path)
        if not isinstance(data, dict) or set(data) != {"group", "clauses"}:
            raise SpecError(f"{path} must have exactly the fields group and clauses")
        for number, each in enumerate(data["clauses"], 1):
            name = (
                each.get("id", f"entry {number}") if isinstance(each, dict) else f"entry {number}"
            )
            where = f"{path.name}: {name}"
            clause: Clause = build(Clause, where, each, group=data["group"])
            _check(clause, where, profiles)
            if clause.id in found:
                raise SpecError(f"{where}: the id stands twice")
            found[clause.id] = clause
    return found


def _check(clause: Clause, where: str, profiles: Mapping[str, Profile]) -> None:
    for what, value, allowed in (
        ("level", clause.level, LEVELS),
        ("subject", clause.subject, SUBJECTS),
        ("verified", clause.verified, VERIFIED),
        ("profile", clause.profile, tuple(profiles)),
    ):
        if value not in allowed:
            raise SpecError(f"{where}: {what} is {value!r}, not one of {', '.join(allowed)}")
    if not clause.id.startswith(f"{clause.group}-"):
        raise SpecError(f"{where}: the id does not belong to the group {clause.group}")


def load_ambiguities(spec: Path) -> dict[str, Ambiguity]:
    """Return all settled ambiguities by id."""
    data = read_yaml(spec / "ambiguities.yaml")
    found: dict[str, Ambiguity] = {}
    for each in data["ambiguities"]:
        entry: Ambiguity = build(Ambiguity, "ambiguities.yaml", each)
        if entry.id in found:
            raise SpecError(f"ambiguities.yaml: {entry.id} stands twice")
        found[entry.id] = entry
    return found
