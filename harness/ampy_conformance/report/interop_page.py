"""The interop matrix as a page in Markdown: one table a broker, and what stands behind each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ampy_conformance.report.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ampy_conformance.contract import Contract

KIND = "interop"
MARKS = {
    Outcome.PASS: "ok",
    Outcome.WARN: "warn",
    Outcome.FAIL: "**FAIL**",
    Outcome.ERROR: "**error**",
    Outcome.INCONCLUSIVE: "?",
    Outcome.NOT_CLAIMED: "-",
    Outcome.NOT_RUN: "not run",
}


def render(contract: Contract, documents: Sequence[Mapping[str, Any]]) -> str:
    """Return the page of what `ampy-conform interop --json` printed, once or several times."""
    return "\n".join(_page(contract, documents)) + "\n"


def _page(contract: Contract, documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "# Interop matrix"
    yield ""
    yield "What the binding on the left publishes is consumed by that on the right. A cell names the"
    yield "clause that is broken; what was seen stands below each table. `?`: nothing is proved, `-`: not"
    yield "claimed. A record that breaks the contract on the wire is held against its producer."
    for each in documents:
        for broker, answers in each["answers"].items():
            yield ""
            yield from _broker(broker, answers, each)
        for name, why in each["not_run"].items():
            yield ""
            yield f"`{name}`: not run ({_cell(why)})"
    asked = {name: fact for each in documents for name, fact in each["aspects"].items()}
    yield ""
    yield "## What is asked"
    yield ""
    yield from _table(
        ("", "question", "clauses"),
        ((name, fact["means"], ", ".join(fact["clauses"])) for name, fact in asked.items()),
    )
    named = {clause for fact in asked.values() for clause in fact["clauses"]}
    named |= {
        c
        for each in documents
        for group in each["answers"].values()
        for a in group
        for c in a["clauses"]
    }
    yield ""
    yield from _table(
        ("clause", "level", "text"),
        (
            (each.id, each.level, each.text)
            for each in contract.clauses.values()
            if each.id in named
        ),
    )


def _broker(
    broker: str, answers: Sequence[Mapping[str, Any]], document: Mapping[str, Any]
) -> Iterator[str]:
    aspects = list(document["aspects"])
    names = list(dict.fromkeys(each["producer"] for each in answers))
    yield f"## {broker}"
    yield ""
    yield (
        f"Seed {document['seed']}, contract `{document['contract'][:19]}`. Bindings: "
        + "; ".join(_binding(name, document["bindings"][name]) for name in names)
        + "."
    )
    yield ""
    cells = {(each["producer"], each["consumer"], each["aspect"]): each for each in answers}
    pairs = dict.fromkeys((each["producer"], each["consumer"]) for each in answers)
    yield from _table(
        ("producer", "consumer", *aspects),
        ((*pair, *(_mark(cells.get((*pair, each))) for each in aspects)) for pair in pairs),
    )
    said = [each for each in answers if each["outcome"] not in (Outcome.PASS, Outcome.NOT_CLAIMED)]
    reasons: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in said:
        reasons.setdefault((each["outcome"], each["says"]), []).append(each)
    yield ""
    for (outcome, _), group in reasons.items():
        yield f"- {MARKS[Outcome(outcome)]} {_reason(group[0])}"
        yield from (
            f"  - {each['producer']} -> {each['consumer']}, {each['aspect']}" for each in group
        )


def _binding(name: str, identity: Mapping[str, Any]) -> str:
    client = f", {identity['client']}" if identity.get("client") else ""
    return f"`{name}` is {identity['name']} {identity['version']} ({identity['language']}{client})"


def _mark(answer: Mapping[str, Any] | None) -> str:
    if answer is None:
        return ""
    mark = MARKS[Outcome(answer["outcome"])]
    return f"{mark} {answer['blames']}" if answer["blames"] else mark


def _reason(answer: Mapping[str, Any]) -> str:
    says = answer["says"]
    if answer["expected"] is not None:
        says += f"; expected {answer['expected']}"
    if answer["seen"] is not None:
        says += f"; seen, the first time: {answer['seen']}"
    return _cell(says)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(text: str) -> str:
    """Keep a text in its line and its cell."""
    return " ".join(text.split())[:400].replace("|", "\\|")
