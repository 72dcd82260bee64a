"""The semantic version that a change demands, against the one that is declared."""

from __future__ import annotations

import re

from ampy_conformance.contract.registry import SpecError

SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
)
STEPS = ("major", "minor", "patch", "none")
DEMANDS = {"breaking": "major", "additive": "minor", "editorial": "patch"}


def numbers(version: str) -> tuple[int, int, int]:
    """Return major, minor and patch; a pre-release counts as what it precedes."""
    found = SEMVER.fullmatch(str(version))
    if found is None:
        raise SpecError(f"contract.yaml: the version {version!r} is no semantic version")
    return int(found[1]), int(found[2]), int(found[3])


def declared(old: str, new: str) -> str:
    """Return the step from one version to another: major, minor, patch, none or backwards."""
    before, after = numbers(old), numbers(new)
    if after < before:
        return "backwards"
    return next((step for step, a, b in zip(STEPS, before, after, strict=False) if a != b), "none")


def demanded(classes: set[str], old: str) -> str:
    """Return the step that changes of these classes demand.

    Below 1.0.0 the minor version is what the major one is later, as semver has it.
    """
    step = next((DEMANDS[each] for each in DEMANDS if each in classes), "none")
    if numbers(old)[0] == 0 and step in ("major", "minor"):
        return STEPS[STEPS.index(step) + 1]
    return step


def following(old: str, step: str) -> str:
    """Return the lowest version that is such a step away."""
    major, minor, patch = numbers(old)
    return {
        "major": f"{major + 1}.0.0",
        "minor": f"{major}.{minor + 1}.0",
        "patch": f"{major}.{minor}.{patch + 1}",
        "none": old,
    }[step]


def enough(step: str, demand: str) -> bool:
    """Tell whether a declared step covers the demanded one."""
    return step in STEPS and STEPS.index(step) <= STEPS.index(demand)
