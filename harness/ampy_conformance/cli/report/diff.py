"""`ampy-conform report diff`: what changed between two reports, and whether that is acceptable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ampy_conformance._errors import HarnessError, UsageError
from ampy_conformance.cli.report import _common
from ampy_conformance.report import difference, safe
from ampy_conformance.report.formats import markdown
from ampy_conformance.report.outcomes import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ampy_conformance.report.difference import Change, Difference

COLOURS = {"regressed": "red", "newly failing": "red", "withdrawn": "red", "fixed": "green"}
KINDS = "\n".join(f"  {name:<17} {means}" for name, means in difference.KINDS.items())


NO_VERDICT = (Exit.USAGE, Exit.HARNESS, Exit.NOTHING, Exit.STALE)


@click.command(
    epilog=f"""\b
Examples:
  ampy-conform report diff last-release.jsonl today.jsonl
  ampy-conform report diff old.jsonl new.jsonl --fail-on regressed,newly-skipped --format markdown
\b
Kinds of changes (in --fail-on with - for blanks):
{KINDS}
\b
Exit codes: 0 no change of a kind in --fail-on, 1 there is one, 2 usage or no whole report,
3 the new run has no verdict (harness, broker or driver failure)."""
)
@click.argument("old", type=_common.REPORT)
@click.argument("new", type=_common.REPORT)
@click.option(
    "--fail-on",
    default=",".join(each.replace(" ", "-") for each in difference.DEFAULT),
    show_default=True,
    help="Kinds of changes that fail, comma-separated; `none`, or `any`.",
)
@click.option("--format", "form", type=click.Choice(("text", "markdown", "json")), default="text")
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
def command(old: Path, new: Path, fail_on: str, form: str, as_json: bool) -> int:
    """Compare two reports, clause by clause: NEW against OLD."""
    fatal = _kinds(fail_on)
    was, now = _common.read(old), _common.read(new)
    found = difference.compare(safe.report(was), safe.report(now))
    if as_json or form == "json":
        click.echo(json.dumps(found.row(), indent=2))
    else:
        for line in _markdown(found) if form == "markdown" else _text(found):
            click.echo(line)
    if any(each.kind in fatal for each in found.changes):
        return 1
    if now.end["exit"] in NO_VERDICT:
        why = now.end["trouble"] or now.end["verdict"]
        raise HarnessError(f"{new} is of a run without a verdict ({why}): run it again")
    return 0


def _kinds(text: str) -> set[str]:
    wanted = {each.strip().replace("-", " ") for each in text.split(",") if each.strip()}
    if wanted == {"none"}:
        return set()
    if wanted == {"any"}:
        return set(difference.KINDS)
    if unknown := wanted - set(difference.KINDS):
        known = ", ".join(each.replace(" ", "-") for each in difference.KINDS)
        raise UsageError(f"--fail-on: there is no kind {min(unknown)!r}; there are {known}")
    return wanted


def _text(found: Difference) -> Iterator[str]:
    yield f"old: {found.old}"
    yield f"new: {found.new}"
    for each in found.changes:
        kind = click.style(f"{each.kind:<17}", fg=COLOURS.get(each.kind, "yellow"))
        yield f"{kind} {each.subject}: {_arrow(each)}{_says(each)}"
    yield _sum(found)


def _markdown(found: Difference) -> Iterator[str]:
    yield f"### {markdown.plain(_sum(found))}"
    yield ""
    yield f"Old: {markdown.plain(found.old)}. New: {markdown.plain(found.new)}."
    yield ""
    if found.changes:
        rows = [
            [f"**{each.kind}**", markdown.plain(each.subject), markdown.plain(_arrow(each)),
             markdown.plain(each.says)]
            for each in found.changes
        ]  # fmt: skip
        yield from markdown.table(["kind", "what", "from, to", "says"], rows)


def _arrow(change: Change) -> str:
    return change.old if change.old == change.new else f"{change.old} -> {change.new}"


def _says(change: Change) -> str:
    return f" ({' '.join(change.says.split())[:200]})" if change.says else ""


def _sum(found: Difference) -> str:
    told = ", ".join(f"{count} {kind}" for kind, count in found.counts().items())
    still = f"; {len(found.still_failing)} failing as before" if found.still_failing else ""
    return (told or "no change") + still
