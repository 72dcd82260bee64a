"""Is the contract's data whole, and do tests, mutants and generated files agree with it?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ampy_conformance.contract import descriptors, golden_files, schemas, services
from ampy_conformance.contract.registry import NEED_REASON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ampy_conformance.contract.model import Contract
    from ampy_conformance.contract.references import MutantRef, SuiteRef

AMBIGUITY = re.compile(r"\b(A-\d{2})\b")


def problems(
    contract: Contract,
    tests: Mapping[str, list[SuiteRef]],
    mutants: list[MutantRef],
    root: Path,
) -> list[str]:
    """Return what is wrong, one sentence each; empty: all is well.

    `root` holds `golden/`, `faulty/` and `schemas/`; `tests` and `mutants` are those of the
    suite, as `references` reads them.
    """
    found = [
        *_references(contract, tests, mutants),
        *_verified(contract, tests),
        *_clauses(contract),
    ]
    dangling = list(_facts(contract))
    # Nothing can be generated from facts that point nowhere.
    return [*found, *(dangling or _generated(contract, root))]


def _references(
    contract: Contract, tests: Mapping[str, list[SuiteRef]], mutants: list[MutantRef]
) -> Iterator[str]:
    for clause, refs in tests.items():
        if clause not in contract.clauses:
            where = ", ".join(f"{each.file}::{each.name}" for each in refs)
            yield f"{where} names {clause}, which is no clause; correct the marker"
    for each in mutants:
        if each.clause not in contract.clauses:
            yield f"the mutant {each.name} names {each.clause}, which is no clause"
        elif each.clause not in tests:
            yield f"the mutant {each.name} breaks {each.clause}, for which there is no test"


def _verified(contract: Contract, tests: Mapping[str, list[SuiteRef]]) -> Iterator[str]:
    for clause in contract.clauses.values():
        tested = clause.id in tests
        if clause.verified == "suite" and not tested:
            yield f"{clause.id} ({clause.level}) is said to be verified by the suite; no test names it"
        if tested and clause.verified != "suite":
            yield f"{clause.id} has a test, and its data says verified: {clause.verified}"


def _clauses(contract: Contract) -> Iterator[str]:
    for clause in contract.clauses.values():
        if clause.verified in NEED_REASON and not clause.reason:
            yield f"{clause.id} is {clause.verified} and gives no reason why no test shows it"
        for each in clause.ambiguities:
            if each not in contract.ambiguities:
                yield f"{clause.id} is settled by {each}, which is no ambiguity"
        if not clause.intent:
            yield f"{clause.id} has no intent: why does it exist?"
        if not clause.look:
            yield f"{clause.id} has no look: where does one look first when it fails?"
        if not contract.profiles[clause.profile].claimable and clause.subject in (
            "binding",
            "producer",
        ):
            yield f"{clause.id} binds a {clause.subject}, and no binding can claim {clause.profile}"


def _facts(contract: Contract) -> Iterator[str]:
    """Yield dangling ids in domains, headers, metrics, QoS and the mappings."""
    for name, domain in contract.domains.items():
        where = f"domains.yaml: {name}"
        ids = [domain.key.clause, domain.order.clause]
        ids += [domain.subtopic_clause] if domain.subtopic_clause else []
        ids += [domain.dedupe.clause] if domain.dedupe else []
        ids += [str(domain.slo["clause"])] if domain.slo else []
        yield from _known(where, "clause", ids, contract.clauses)
        settled = [domain.key.settled_by, domain.dedupe.settled_by if domain.dedupe else None]
        yield from _known(where, "ambiguity", [e for e in settled if e], contract.ambiguities)
        if domain.qos not in contract.qos["classes"]:
            yield f"{where} has the QoS class {domain.qos!r}, which qos.yaml does not know"
    for header in contract.headers:
        where = f"headers.yaml: {header.name}"
        ids = [each for each in (header.clause, header.pattern_clause) if each]
        yield from _known(where, "clause", ids, contract.clauses)
        additive = [header.additive] if header.additive else []
        yield from _known(where, "ambiguity", additive, contract.ambiguities)
    for metric in contract.metrics["metrics"]:
        yield from _known(
            f"metrics.yaml: {metric['name']}", "clause", [metric["clause"]], contract.clauses
        )
    yield from _known("nats.yaml", "clause", contract.nats["clauses"], contract.clauses)
    yield from _known("kafka.yaml", "clause", contract.kafka["clauses"], contract.clauses)
    yield from services.problems(contract)
    for each in contract.ambiguities.values():
        yield from _known(
            f"ambiguities.yaml: {each.id}",
            "ambiguity",
            AMBIGUITY.findall(each.settlement),
            contract.ambiguities,
        )


def _known(where: str, what: str, ids: list[str], known: Mapping[str, Any]) -> Iterator[str]:
    for each in ids:
        if each not in known:
            yield f"{where} names the {what} {each}, which does not exist"


def _generated(contract: Contract, root: Path) -> Iterator[str]:
    path = contract.root / "descriptors.binpb"
    try:
        if not path.is_file() or path.read_bytes() != descriptors.build(contract):
            yield "spec/descriptors.binpb is out of date; run `ampy-conform spec build`"
    except descriptors.NoCompiler:
        pass  # where no compiler is installed the file was packaged; CI has one
    yield from golden_files.problems(contract, root)
    yield from schemas.problems(contract, root / "schemas")
