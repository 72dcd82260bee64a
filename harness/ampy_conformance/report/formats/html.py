"""The report as one page of HTML: what is wrong, why, and how to see it again."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ampy_conformance.report import facts, lanes, page, plots

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ampy_conformance.report.lines import Line, Report

WHAT = "one page for a browser, whole by itself"
SUFFIX = ".html"
TONES = {0: "good", 1: "bad", 6: "doubt"}
# Facts of an event that the table of the transcript has columns for, or leaves out.
COLUMNS = ("seq", "t_ns", "kind", "actor", "topic", "position", "attempt", "incarnation")


@dataclass(frozen=True)
class Shown:
    """Events as a picture and as a table, and records of the wire."""

    picture: Markup
    legend: list[tuple[str, str]]
    events: list[dict[str, Any]]
    wire: list[Line]


def render(report: Report) -> str:
    """Return the page."""
    passed, judged, every = facts.must(report)
    return page.render(
        "report.html.j2",
        report=report,
        binding=facts.binding(report),
        broker=facts.broker(report),
        word=facts.word(report),
        tone=TONES.get(report.end["exit"], "none"),
        counts=facts.counts(report.clauses.values()),
        cases=facts.counts(report.cases),
        must={"passed": passed, "judged": judged, "every": every},
        profiles=_profiles(report),
        failed=facts.failed_clauses(report),
        open=[
            (outcome, facts.by_reason(cases))
            for outcome, cases in facts.cases_by_outcome(report).items()
            if outcome != "fail"
        ],
        known=_known(report),
        trials=report.trials,
        chances=sorted({name for each in report.trials for name in each["chances"]}),
        plots=[(each.title, Markup(each.svg)) for each in plots.pictures(report.loads)],  # noqa: S704 (our own drawing)
        case_outcomes={each["id"]: each for each in report.cases},
        shown=_shown,
        sections=facts.sections,
        said=facts.said,
        pretty=_pretty,
        reproduce=lambda case: facts.reproduce(report, case),
        again=facts.run_again(report),
        unjudged=facts.unjudged(report),
    )


def _profiles(report: Report) -> list[dict[str, Any]]:
    """Return every profile, claimed or not, with its clauses by outcome and the parts of its bar."""
    found = []
    for name, each in report.end["profiles"].items():
        mine = [line for line in report.clauses.values() if line["profile"] == name]
        counts = {what: count for what, count in facts.counts(mine).items() if count}
        parts, left = [], 0.0
        for what, count in counts.items():
            width = 100 * count / len(mine)
            parts.append({"what": what, "count": count, "x": left, "width": width})
            left += width
        found.append({"name": name, "counts": counts, "parts": parts, **each})
    return found


def _known(report: Report) -> list[dict[str, Any]]:
    """Return the known failures of the run: whether each held, and how long it still may."""
    day = dt.datetime.fromisoformat(report.run["started"]).date()
    stale = {each.partition(":")[0]: each for each in report.end["stale"]}
    entries = report.run.get("known_failures")
    if entries is None:  # an older report has them only in the notes of its cases
        notes = [
            (each["blames"], note) for each in report.cases for note in each["notes"]
            if note.startswith("known failure: ")
        ]  # fmt: skip
        return [
            {"clause": clause, "issue": note.removeprefix("known failure: "), "expires": "",
             "left": None, "signature": "", "stale": None}
            for clause, note in dict.fromkeys(notes)
        ]  # fmt: skip
    return [
        each | {
            "left": (dt.date.fromisoformat(each["expires"]) - day).days,
            "stale": stale.get(each["clause"]),
        }
        for each in entries
    ]  # fmt: skip


def _shown(line: Line, title: str) -> Shown:
    """Return the evidence of a case or of what several cases shared."""
    events = line["transcript"]
    focus = line.get("focus", ())
    return Shown(
        lanes.svg(events, focus, title),
        lanes.legend(events),
        [_row(each, events[0], focus) for each in events],
        line.get("wire", []),
    )


def _row(event: Line, first: Line, focus: Iterable[int]) -> dict[str, Any]:
    lane = lanes.lane(event)
    rest = {
        name: each
        for name, each in {**event, **event.get("detail", {})}.items()
        # The lane names group and member already; times stand in a column of their own.
        if name not in (*COLUMNS, "detail") and not name.endswith("_ns") and str(each) not in lane
    }
    if "body_hash" in rest:
        rest["body_hash"] = str(rest["body_hash"])[:12]
    return {
        "seq": event["seq"],
        "when": lanes.when(event, first),
        "kind": event["kind"],
        "lane": lane,
        "topic": event.get("topic", ""),
        "position": event.get("position", ""),
        "attempt": event.get("attempt", ""),
        "rest": ", ".join(f"{name} {each}" for name, each in rest.items()),
        "focus": event["seq"] in focus,
    }


def _pretty(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
