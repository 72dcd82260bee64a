"""`ampy-conform explain`: everything that is known of a clause."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance._layout import PACKAGE, room
from ampy_conformance.contract import references

if TYPE_CHECKING:
    from ampy_conformance.contract import Contract
    from ampy_conformance.contract.registry import Ambiguity, Clause

PROFILES = "PROFILES"


@click.command(
    epilog="""\b
Examples:
  ampy-conform explain             all groups
  ampy-conform explain ORD         the clauses of a group
  ampy-conform explain ORD-04      one clause: text, why, tests, mutants, where to look
  ampy-conform explain A-19        how an ambiguity of the contract is settled
  ampy-conform explain profiles    what a binding can claim, and certify --profile takes"""
)
@click.argument("name", required=False)
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(name: str | None, spec: Path | None, as_json: bool) -> int:
    """Explain a clause, a group of clauses, a settled ambiguity, or the profiles."""
    contract = contracts.load(spec)
    clauses = {each.upper(): clause for each, clause in contract.clauses.items()}
    groups: dict[str, list[Clause]] = {}
    for clause in contract.clauses.values():
        groups.setdefault(clause.group, []).append(clause)
    wanted = (name or "").upper()
    if not wanted:
        _groups(groups, as_json=as_json)
    elif wanted == PROFILES:
        _profiles(contract, as_json=as_json)
    elif wanted in clauses:
        _clause(contract, clauses[wanted], as_json=as_json)
    elif wanted in groups:
        _group(groups[wanted], as_json=as_json)
    elif wanted in contract.ambiguities:
        _ambiguity(contract, contract.ambiguities[wanted], as_json=as_json)
    else:
        known = [*clauses, *groups, *contract.ambiguities, PROFILES]
        group, _, number = wanted.partition("-")
        if f"{group}-{number.zfill(2)}" in clauses:  # the usual slip
            known = [f"{group}-{number.zfill(2)}"]
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
        hint = (
            f"; did you mean {', '.join(near)}?" if near else "; `ampy-conform explain` lists all"
        )
        raise UsageError(f"there is no clause, group or ambiguity {name!r}{hint}")
    return 0


def _facts(contract: Contract, clause: Clause) -> dict[str, Any]:
    tests = references.judges(room("conformance"), contract.root).get(clause.id, [])
    mutants = [e for e in references.mutants(PACKAGE / "mutants") if e.clause == clause.id]
    return {
        "id": clause.id,
        "level": clause.level,
        "origin": clause.origin,
        "section": list(clause.section),
        "text": clause.text,
        "condition": clause.condition,
        "intent": clause.intent,
        "subject": clause.subject,
        "profile": clause.profile,
        "observable": list(clause.observable),
        "verified": clause.verified,
        "reason": clause.reason,
        "look": list(clause.look),
        "ambiguities": [
            {"id": each, "settlement": contract.ambiguities[each].settlement}
            for each in clause.ambiguities
        ],
        "tests": [{"case": f"{e.file}::{e.name}", "says": e.doc} for e in tests],
        "mutants": [{"name": e.name, "does": e.doc, "caught by": e.says} for e in mutants],
    }


def _clause(contract: Contract, clause: Clause, *, as_json: bool) -> None:
    facts = _facts(contract, clause)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    console = Console()
    stated = "" if clause.origin == "stated" else f", {clause.origin}"
    sections = ", ".join(clause.section)
    console.print(f"[bold]{clause.id}[/]  {clause.level}{stated}, section {sections}")
    console.print(escape(clause.text.strip()))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    if clause.condition:
        rows.add_row("only if", escape(clause.condition))
    rows.add_row("why", escape(clause.intent))
    rows.add_row("subject", f"{clause.subject}; profile {clause.profile}")
    rows.add_row("seen on", ", ".join(clause.observable))
    reason = f": {clause.reason}" if clause.reason else ""
    rows.add_row("verified", escape(f"{clause.verified}{reason}"))
    for each in facts["ambiguities"]:
        rows.add_row(each["id"], escape(each["settlement"]))
    for each in facts["tests"]:
        rows.add_row("test", escape(f"{each['case']}: {each['says']}"))
    for each in facts["mutants"]:
        rows.add_row("mutant", escape(f"{each['name']}: {each['does']}"))
    for each in clause.look:
        rows.add_row("look at", escape(each))
    if facts["tests"]:
        files = [each["case"].partition("::")[0] for each in facts["tests"]]
        faults = " --faults all" if references.under_faults_only(files) else ""
        rows.add_row("try", f"ampy-conform certify DRIVER --clause {clause.id}{faults} -v")
    console.print(rows)


def _group(clauses: list[Clause], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"id": e.id, "level": e.level, "text": e.text, "verified": e.verified} for e in clauses
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("clause", "level", "verified", "text"):
        table.add_column(column, overflow="fold", no_wrap=column == "clause")
    for each in clauses:
        table.add_row(each.id, each.level, each.verified, escape(each.text.strip()))
    Console().print(table)


def _groups(groups: dict[str, list[Clause]], *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps({name: [e.id for e in each] for name, each in groups.items()}, indent=2)
        )
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("group", "clauses", "with tests", "first"):
        table.add_column(column, justify="right" if column in ("clauses", "with tests") else "left")
    for name, each in groups.items():
        tested = sum(clause.verified == "suite" for clause in each)
        table.add_row(
            name, str(len(each)), str(tested), f"{each[0].id}: {escape(each[0].text)[:60]}"
        )
    Console().print(table)


def _profiles(contract: Contract, *, as_json: bool) -> None:
    clauses = {
        name: [each.id for each in contract.clauses.values() if each.profile == name]
        for name in contract.profiles
    }
    if as_json:
        rows = [
            {
                "name": each.name,
                "title": each.title,
                "optional": each.optional,
                "on_request": each.on_request,
                "clauses": clauses[each.name],
            }
            for each in contract.profiles.values()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("profile", "clauses", "judged", "what"):
        table.add_column(column, justify="right" if column == "clauses" else "left")
    for each in contract.profiles.values():
        table.add_row(each.name, str(len(clauses[each.name])), each.judged, escape(each.title))
    Console().print(table)


def _ambiguity(contract: Contract, found: Ambiguity, *, as_json: bool) -> None:
    touches = [each.id for each in contract.clauses.values() if found.id in each.ambiguities]
    if as_json:
        facts = {"id": found.id, "where": found.where, "problem": found.problem}
        click.echo(
            json.dumps({**facts, "settlement": found.settlement, "clauses": touches}, indent=2)
        )
        return
    console = Console()
    console.print(f"[bold]{found.id}[/]  sections {escape(found.where)}")
    console.print(escape(found.problem))
    console.print(f"settled: {escape(found.settlement)}")
    console.print(f"[dim]touches {', '.join(touches) or 'no clause'}[/]")
