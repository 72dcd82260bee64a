"""`ampy-conform golden`: write and check the golden envelopes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from ampy_conformance import contract as contracts
from ampy_conformance._errors import UsageError
from ampy_conformance._layout import room
from ampy_conformance.contract import golden, golden_files, schemas


@click.group(
    epilog="""\b
golden/<domain>/     valid envelopes, at least three for each domain
faulty/invalid/      one fault each, refused for exactly the clause in the file's name
faulty/warned/       one deviation each that is tolerated with a warning
\b
Exit codes: 0 current and judged right, 1 not, 2 usage."""
)
def command() -> None:
    """Golden envelopes: examples of every domain, and of every fault, made from the spec."""


@command.command()
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option("--to", type=click.Path(path_type=Path), help="Write below this folder instead.")
def build(spec: Path | None, to: Path | None) -> int:
    """Write golden/, faulty/ and the schemas that are made from the spec."""
    contract = contracts.load(spec)
    if to is not None and not to.is_dir():
        raise UsageError(f"{to} is not a folder; create it first")
    target = to or room("golden").parent
    names = golden_files.write(contract, target)
    written = schemas.write(contract, target / "schemas")
    click.echo(f"{len(names)} envelopes below {target}, {len(written)} schemas")
    return 0


@command.command()
@click.option("--spec", type=click.Path(path_type=Path), help="Folder of another contract.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(spec: Path | None, as_json: bool) -> int:
    """Prove that golden/ and faulty/ are current, and that every envelope is judged as it has to be."""
    contract = contracts.load(spec)
    wanted = golden.build(contract)
    wrong = golden_files.problems(contract, room("golden").parent, wanted)
    counts = Counter(each.expects for each in wanted)
    domains = {each.name.split("/")[1] for each in wanted if each.expects == "valid"}
    if as_json:
        click.echo(json.dumps({"counts": counts, "domains": len(domains), "problems": wrong}))
    else:
        for each in wrong:
            click.echo(f"problem: {each}")
        click.echo(
            f"{counts['valid']} valid envelopes of {len(domains)} domains accepted, "
            f"{counts['invalid']} invalid refused for exactly their clause, "
            f"{counts['warned']} warned about"
            if not wrong
            else f"{len(wrong)} problems"
        )
    return 1 if wrong else 0
