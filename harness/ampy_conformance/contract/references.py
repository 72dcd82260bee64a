"""Tests and mutants, read as text: what they claim, without running or importing them."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ampy_conformance.contract.registry import SpecError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class SuiteRef:
    """A test of the suite and the clauses it names."""

    file: str
    name: str
    line: int
    doc: str


def under_faults_only(files: Collection[str]) -> bool:
    """Tell whether these judges of a clause are temporal properties alone, which need a campaign."""
    return bool(files) and all(each.endswith(".sql") for each in files)


@dataclass(frozen=True)
class MutantRef:
    """A planted bug: the clause it breaks and a part of the message that must say so."""

    name: str
    clause: str
    says: str
    doc: str
    module: str
    faults: str | None = None  # shows under this fault only

    @property
    def connectable(self) -> str:
        """How the suite reaches the mutant."""
        return f"py:ampy_conformance.mutants.{self.module}:Driver"


def tests(folder: Path) -> dict[str, list[SuiteRef]]:
    """Return the tests of the suite by clause id."""
    found: dict[str, list[SuiteRef]] = defaultdict(list)
    for path in sorted(folder.glob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"), str(path))
        constants = _constants(tree)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                doc = " ".join((ast.get_docstring(node) or "").split())
                ref = SuiteRef(path.name, node.name, node.lineno, doc)
                for clause in dict.fromkeys(_marked(node, constants)):
                    found[clause].append(ref)
    return dict(found)


def properties(folder: Path) -> dict[str, list[SuiteRef]]:
    """Return the temporal properties of a contract by clause id, as what judges these clauses."""
    found: dict[str, list[SuiteRef]] = defaultdict(list)
    for path in sorted(folder.glob("*.sql")):
        facts = dict(re.findall(r"(?m)^-- (clauses|means): (.+)$", path.read_text("utf-8")))
        for clause in facts.get("clauses", "").replace(",", " ").split():
            found[clause].append(SuiteRef(path.name, path.stem, 1, facts.get("means", "")))
    return dict(found)


def judges(suite: Path, spec: Path) -> dict[str, list[SuiteRef]]:
    """Return tests and properties by clause id."""
    found = tests(suite)
    for clause, refs in properties(spec / "properties").items():
        found[clause] = [*found.get(clause, ()), *refs]
    return found


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _marked(node: ast.FunctionDef, constants: dict[str, ast.expr]) -> Iterator[str]:
    """Yield the clause ids of a test's markers, also of parametrized ones.

    In a comprehension over ids (`for each in ("A-01", ...)`) every string is one of them.
    """
    for decorator in node.decorator_list:
        looped = [each.iter for each in ast.walk(decorator) if isinstance(each, ast.comprehension)]
        for inner in ast.walk(decorator):
            if isinstance(inner, ast.Call) and _is_clause(inner.func):
                for argument in inner.args:
                    yield from _ids(argument, looped, constants)


def _is_clause(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == "clause"


def _ids(
    argument: ast.expr, looped: list[ast.expr], constants: dict[str, ast.expr]
) -> Iterator[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
        return
    prefix = ""
    if isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        prefix = str(argument.values[0].value)
    for source in looped:
        actual = constants.get(source.id, source) if isinstance(source, ast.Name) else source
        for row in getattr(actual, "elts", ()):
            first = row.elts[0] if isinstance(row, ast.Tuple) else row
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield prefix + first.value


def mutants(folder: Path) -> list[MutantRef]:
    """Return the planted bugs: modules with the literals CLAUSE and SAYS."""
    found = []
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"), str(path))
        values = {
            name: value.value
            for name, value in _constants(tree).items()
            if isinstance(value, ast.Constant) and isinstance(value.value, str)
        }
        if "CLAUSE" not in values:
            continue
        if "SAYS" not in values:
            raise SpecError(f"{path.name}: a mutant names CLAUSE and SAYS, both as literals")
        doc = (ast.get_docstring(tree) or "").strip()
        name = path.stem.replace("_", "-")
        found.append(
            MutantRef(name, values["CLAUSE"], values["SAYS"], doc, path.stem, values.get("FAULTS"))
        )
    return found
