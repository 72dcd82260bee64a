"""`ampy-conform spec diff`: what a change of the contract means, and whether it is declared."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ampy_conformance import contract as contracts
from ampy_conformance._errors import ConformError, UsageError
from ampy_conformance._layout import room
from ampy_conformance.contract import references
from ampy_conformance.gate import comparison, payloads, rendering, rules, sides
from ampy_conformance.report import lines, sarif

if TYPE_CHECKING:
    from ampy_conformance.gate.comparison import Result


@click.command(
    "diff",
    epilog="""\b
Examples:
  ampy-conform spec diff git:main                     the contract of a branch against this one
  ampy-conform spec diff v1.0.0 HEAD --format markdown     two revisions, for a pull request
  ampy-conform spec diff old/spec new/spec --json     two folders
  ampy-conform spec diff ==0.1.0                      a published version against this one
  ampy-conform spec diff ampy-proto==2.0.9 ampy-proto==2.1.1     payload schemas alone
\b
OLD and NEW are folders, wheels, git revisions, or versions of this package or of ampy-proto
(fetched with pip; nothing of them is run). NEW is the contract of this installation unless given.
Payload schemas are judged by buf (pip install 'ampy-bus-conformance[gate]'). The rules: docs/contract-gate.md.
\b
Exit codes: 0 nothing changed, or the new version declares it; 1 it demands more than is declared;
2 usage, or a side does not parse; 3 records contradict a rule, or git, pip or buf failed;
6 payload schemas differ and buf is not there.""",
)
@click.argument("old")
@click.argument("new", required=False)
@click.option(
    "--repo",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="The git repository of revisions; the one here unless given.",
)
@click.option(
    "--within", default="spec", show_default=True, help="Where a revision has the contract."
)
@click.option("--buf", type=click.Path(path_type=Path), help="The program buf.")
@click.option(
    "--reports",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Past reports, to see which of them the change touches.",
)
@click.option(
    "--reworded",
    multiple=True,
    metavar="ID",
    help="You have read the new text of this clause or ambiguity, and it makes the same demand.",
)
@click.option("--strict", is_flag=True, help="Editorial changes have to be declared, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "markdown", "sarif")),
    default="text",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file."
)
def command(
    old: str,
    new: str | None,
    repo: Path,
    within: str,
    buf: Path | None,
    folder: Path | None,
    reworded: tuple[str, ...],
    strict: bool,
    form: str,
    as_json: bool,
    output: Path | None,
) -> int:
    """Say what changed between two contracts, for whom it breaks, and what version it demands."""
    past = _past(folder) if folder else {}
    program = payloads.program(buf)
    known = rules.load(room("spec"))
    judges = references.judges(room("conformance"), room("spec"))
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="ampy-conform-") as name,
        console.status("reading both contracts") as status,
    ):
        scratch = Path(name)
        given = [
            sides.resolve(each, scratch, repo=repo, within=within)
            for each in (old, new or str(room("spec")))
        ]
        alone = any(each.contract is None for each in given)
        base = next((e.contract for e in given if e.contract is not None), contracts.load())
        whole = [sides.complete(each, base, scratch) for each in given]
        result = comparison.compare(
            whole[0],
            whole[1],
            known,
            buf=program,
            judges=judges,
            past=past,
            payloads_alone=alone,
            strict=strict,
            reworded=reworded,
            progress=status.update,
        )
    _write(result, "json" if as_json else form, output, within)
    return result.exit_code


def _past(folder: Path) -> dict[str, dict[str, str]]:
    """Return the outcomes of clauses in the reports of a folder; other files are passed over."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        try:
            report = lines.read(path)
        except ConformError as error:
            click.echo(f"passed over: {error}", err=True)
            continue
        found[path.name] = {name: str(row["outcome"]) for name, row in report.clauses.items()}
    if not found:
        raise UsageError(f"there is no report in {folder}: reports are files of 'certify --report'")
    return found


def _write(result: Result, form: str, output: Path | None, within: str) -> None:
    if form == "text" and output is None:
        rendering.text(result, Console())
        return
    if form == "json":
        text = json.dumps(comparison.data(result), indent=2, ensure_ascii=False, default=str)
    elif form == "markdown":
        text = rendering.markdown(result)
    elif form == "sarif":
        text = json.dumps(_sarif(result, within), indent=2, ensure_ascii=False)
    else:
        text = rendering.plain(result)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    click.echo(f"{result.sentence} (wrote {output})")


def _sarif(result: Result, within: str) -> dict[str, Any]:
    """Return the changes as findings in the files of the contract, as a repository has them."""
    known = {each.rule.id: each.rule.says for each in result.changes}
    named = [sarif.Rule(name, says) for name, says in known.items()]
    found = [
        sarif.Result(
            rule=each.rule.id,
            grade=rendering.LEVELS[each.gravest],
            message=f"{each.change.where}: {rendering.what(each)}. {each.rule.says} "
            f"Producers: {each.rule.producers}; consumers: {each.rule.consumers}.",
            where=f"{within}/{each.change.file}:{max(each.change.line, 1)}",
            part=each.change.where,
            properties={"clauses": list(each.clauses), "domains": list(each.domains)},
        )
        for each in result.changes
    ]
    if result.exit_code in (1, 3):
        named.append(sarif.Rule("gate", "The declared version covers what the changes demand."))
        message = result.sentence
        found.append(sarif.Result("gate", "error", message, f"{within}/contract.yaml:1"))
    return sarif.log(named, found)
