"""A history as a picture: one lane each for producers, the broker and consumers, faults as bands.

A pure function from the events of a report line to SVG. Time runs to the right, but a pause is
drawn shorter than it was (its logarithm counts), so that both what took microseconds and what took
seconds can be seen; the axis says when each event was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ampy_conformance.report.lines import Line

PRODUCED = ("invoke", "ok", "fail", "info")
CONSUMED = ("deliver", "settle", "effect", "settled", "abandoned")
STORED = ("inject", "audit", "dlq", "wire", "checkpoint", "replay")
# What an event is drawn as: a letter that is not its kind's first where that is taken.
LETTERS = {
    "invoke": "P", "ok": "\N{CHECK MARK}", "fail": "\N{MULTIPLICATION SIGN}", "info": "?",
    "deliver": "D", "effect": "E", "settle": "S", "settled": "s", "abandoned": "A",
    "inject": "I", "audit": "L", "dlq": "Q", "wire": "W", "checkpoint": "C", "replay": "R",
    "fault": "!", "mark": "m",
}  # fmt: skip
MEANS = {
    "invoke": "publish asked for", "ok": "publish acknowledged", "fail": "publish refused",
    "info": "publish without a clear answer", "deliver": "handed to a handler",
    "effect": "handler succeeded", "settle": "handler did not succeed", "settled": "binding's answer",
    "abandoned": "handler's call given up", "inject": "published raw", "audit": "read from the log",
    "dlq": "dead letter in the log", "wire": "passed by on the wire",
    "checkpoint": "how far the broker counts", "replay": "replay asked for", "fault": "fault",
    "mark": "note of the harness",
}  # fmt: skip
ENDS = ("healed", "resumed")
# Pixels.
LABEL, LANE, RADIUS, TOP, AXIS = 150, 44, 11, 22, 34
NEAREST, FARTHEST = 27, 110


@dataclass(frozen=True)
class _Placed:
    """An event in its place."""

    event: Line
    x: float
    lane: str


def svg(events: Sequence[Line], focus: Iterable[int] = (), title: str = "History") -> Markup:
    """Return the picture of events in order; those numbered in `focus` are marked. Empty: none."""
    if not events:
        return Markup("")
    xs = _places(events)
    placed = [_Placed(each, x, lane(each)) for each, x in zip(events, xs, strict=True)]
    names = _lanes(placed)
    rows = {name: TOP + LANE * index + LANE / 2 for index, name in enumerate(names)}
    width, height = LABEL + xs[-1] + 40, TOP + LANE * len(names) + AXIS
    parts = [
        Markup(
            '<svg class="lanes" role="img" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}">'
            "<title>{title}</title>"
        ).format(w=width, h=height, title=title),
        *_bands(placed, width, TOP + LANE * len(names)),
        *_rails(rows, width),
        *_threads(placed, rows),
        *(_mark(each, rows[each.lane], set(focus)) for each in placed if each.lane in rows),
        *_axis(placed, TOP + LANE * len(names)),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def lane(event: Line) -> str:
    """Return in which lane an event belongs; a fault has none, it is a band over all."""
    kind = event["kind"]
    if kind == "fault":
        return ""
    if kind in PRODUCED:
        return f"producer {event.get('producer') or ''}".strip()
    if kind in CONSUMED:
        group, member = event.get("group") or "", event.get("subscription") or ""
        return f"consumer {group} {member}".replace("  ", " ").strip()
    return "broker" if kind in STORED else "harness"


def legend(events: Iterable[Line]) -> list[tuple[str, str]]:
    """Return the letters that a picture of these events uses, each with what it means."""
    kinds = dict.fromkeys(each["kind"] for each in events if each["kind"] != "fault")
    return [(_letter(each), MEANS.get(each, each)) for each in kinds]


def when(event: Line, first: Line) -> str:
    """Return how long after the first event another one was, e.g. `+1.204 s`."""
    return f"+{(event['t_ns'] - first['t_ns']) / 1e9:.3f} s"


def _letter(kind: str) -> str:
    return LETTERS.get(kind, "\N{BULLET}")


def _places(events: Sequence[Line]) -> list[float]:
    x, found = 24.0, []
    for index, each in enumerate(events):
        if index:
            gap = max(0, each["t_ns"] - events[index - 1]["t_ns"]) / 1e6  # in milliseconds
            x += min(FARTHEST, NEAREST + 9 * math.log1p(gap))
        found.append(x)
    return found


def _lanes(placed: Sequence[_Placed]) -> list[str]:
    """Return the lanes from top to bottom: producers, broker, consumers, the harness."""
    names = dict.fromkeys(each.lane for each in placed if each.lane)
    order = ("producer", "broker", "consumer", "harness")
    names.setdefault("broker")
    return sorted(names, key=lambda name: order.index(name.partition(" ")[0]))


def _bands(placed: Sequence[_Placed], width: float, bottom: float) -> Iterable[Markup]:
    """Yield a band for each fault: to where it is healed, or to the end; a moment if neither."""
    open_: list[tuple[str, float]] = []
    for each in placed:
        if each.event["kind"] != "fault":
            continue
        name = str(each.event.get("detail", {}).get("fault", "fault"))
        x = LABEL + each.x
        if name in ENDS:
            for what, start in open_:
                yield _band(what, start, x, bottom)
            open_.clear()
        else:
            open_.append((name, x))
    for what, start in open_:
        yield _band(what, start, min(start + NEAREST, width), bottom)


def _band(name: str, start: float, end: float, bottom: float) -> Markup:
    return Markup(
        '<g class="band"><title>fault: {name}</title><rect x="{x:.1f}" y="0" width="{w:.1f}" '
        'height="{h:.0f}"/><text x="{t:.1f}" y="14">{name}</text></g>'
    ).format(name=name, x=start, w=max(4.0, end - start), h=bottom, t=start + 4)


def _rails(rows: dict[str, float], width: float) -> Iterable[Markup]:
    for name, y in rows.items():
        shown = name if len(name) <= 22 else f"{name[:21]}\N{HORIZONTAL ELLIPSIS}"
        yield Markup(
            '<g class="rail"><line x1="{x}" x2="{w:.0f}" y1="{y:.0f}" y2="{y:.0f}"/>'
            '<text x="4" y="{t:.0f}">{shown}<title>{name}</title></text></g>'
        ).format(x=LABEL, w=width, y=y, t=y + 4, shown=shown, name=name)


def _threads(placed: Sequence[_Placed], rows: dict[str, float]) -> Iterable[Markup]:
    """Yield a line through the events of each record, known by its hash."""
    records: dict[str, list[_Placed]] = {}
    for each in placed:
        if each.event.get("body_hash") and each.lane in rows:
            records.setdefault(each.event["body_hash"], []).append(each)
    for number, members in enumerate(records.values()):
        if len(members) > 1:
            points = " ".join(f"{LABEL + each.x:.1f},{rows[each.lane]:.0f}" for each in members)
            yield Markup('<polyline class="thread t{n}" points="{points}"/>').format(
                n=number % 6, points=points
            )


def _mark(placed: _Placed, y: float, focus: set[int]) -> Markup:
    event = placed.event
    chosen = event["seq"] in focus
    return Markup(
        '<g class="event k-{kind}{focus}"><title>{says}</title><circle cx="{x:.1f}" cy="{y:.0f}" '
        'r="{r}"/><text x="{x:.1f}" y="{t:.0f}">{letter}</text></g>'
    ).format(
        kind=event["kind"] if event["kind"] in LETTERS else "other",
        focus=" focus" if chosen else "",
        says=describe(event),
        x=LABEL + placed.x,
        y=y,
        r=RADIUS + (2 if chosen else 0),
        t=y + 4,
        letter=_letter(event["kind"]),
    )


def _axis(placed: Sequence[_Placed], y: float) -> Iterable[Markup]:
    last = -math.inf
    for each in placed:
        if each.x - last < 64:
            continue
        last = each.x
        yield Markup(
            '<g class="tick"><line x1="{x:.1f}" x2="{x:.1f}" y1="{y:.0f}" y2="{b:.0f}"/>'
            '<text x="{x:.1f}" y="{t:.0f}">{when}</text></g>'
        ).format(x=LABEL + each.x, y=y, b=y + 6, t=y + 20, when=when(each.event, placed[0].event))


def describe(event: Line) -> str:
    """Return an event in words, for the eye that rests on it and for a reader of screens."""
    hidden = ("seq", "t_ns", "kind", "incarnation", "detail")
    facts: dict[str, Any] = {name: each for name, each in event.items() if name not in hidden}
    facts |= event.get("detail", {})
    if "body_hash" in facts:
        facts["body_hash"] = str(facts["body_hash"])[:12]
    told = ", ".join(f"{name} {each}" for name, each in facts.items())
    return f"{event['seq']} {MEANS.get(event['kind'], event['kind'])}: {told}"
