"""Pictures of load runs, as SVG: pure functions from lines of the report to text.

Own SVG, because four simple shapes do not need a plotting library in the default installation.
Colours are told apart in greyscale and by the colour-blind; every picture names its axes and units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 54, 44
COLOURS = {"binding": "#0b5fa5", "control": "#c2600a"}
GREY, BAND, ALARM = "#667080", "#f1e4d3", "#b3261e"
NAMES = {"binding": "binding", "control": "raw client"}
# What never came is drawn at the top, not left out.
NEVER = math.inf


@dataclass(frozen=True)
class Axis:
    """A scale from values to pixels, and where its marks are."""

    place: Callable[[float], float]
    marks: Sequence[tuple[float, str]]


def latency_over_time(line: Mapping[str, Any]) -> str:
    """Return p50, p99 and the worst of every second, with limits and the raw client's turns as bands.

    `line` is a line of kind `load` that has stretches. A replay beside it is a fault band.
    """
    stretches = line["stretches"]
    end = max((each["begins"] + each["seconds"] for each in stretches), default=1.0)
    values = [v for each in stretches for row in each["per_second_ms"] for v in row if v]
    limits = sorted({each["limit_ms"] for each in line.get("limits", ())})
    high = max([*values, *limits, 1.0]) * 1.3
    across = linear(0, end, LEFT, WIDTH - RIGHT, "s")
    up = logarithmic(min([*values, 1.0]), high, HEIGHT - BOTTOM, TOP)
    parts = []
    for each in stretches:
        x, w = across.place(each["begins"]), across.place(each["seconds"]) - across.place(0)
        if each["side"] == "control":
            parts.append(rect(x, TOP, w, HEIGHT - TOP - BOTTOM, BAND))
        elif line["what"] == "replay":
            parts.append(rect(x, TOP, w, 6, ALARM, title="a replay goes on"))
    parts += [
        path([(LEFT, up.place(each)), (WIDTH - RIGHT, up.place(each))], ALARM, dash="6 4")
        + text(WIDTH - RIGHT - 4, up.place(each) - 4, f"p99 limit {each} ms", ALARM, "end")
        for each in limits
    ]
    for each in stretches:
        colour = COLOURS[each["side"]]
        for index, (width, dash) in enumerate(((1.0, "2 2"), (1.8, ""), (0.8, ""))):
            points = [
                (
                    across.place(each["begins"] + n + 0.5),
                    up.place(high if v is None else max(v, 1e-3)),
                )
                for n, v in enumerate(row[index] for row in each["per_second_ms"])
            ]
            parts.append(path(points, colour, width, dash, opacity=0.45 if index == 2 else 1.0))
    what = "Latency from the intended send" + (
        " while a replay goes on" if line["what"] == "replay" else ""
    )
    offered = line["offered"]
    legend = "p50 dotted, p99 bold, worst faint; shaded: the raw client's turn"
    return picture(f"{what}, {offered['rate']:g}/s offered", legend, across, up, "ms", parts)


def quantile_plot(line: Mapping[str, Any]) -> str:
    """Return the quantiles of both sides on a scale of nines; what never came ends at the top."""
    sides = {name: each for name, each in line["quantiles_ms"].items() if each}
    values = [v for each in sides.values() for v in each.values() if v]
    limits = sorted({each["limit_ms"] for each in line.get("limits", ())})
    high = max([*values, *limits, 1.0]) * 1.3
    across = nines(LEFT, WIDTH - RIGHT)
    up = logarithmic(min([*values, 1.0]), high, HEIGHT - BOTTOM, TOP)
    parts = [
        path([(LEFT, up.place(each)), (WIDTH - RIGHT, up.place(each))], ALARM, dash="6 4")
        + text(LEFT + 6, up.place(each) - 4, f"{each} ms", ALARM)
        for each in limits
    ]
    for name, found in sides.items():
        points = [
            (across.place(float(share)), up.place(high if each is None else max(each, 1e-3)))
            for share, each in found.items()
            if float(share) < 1.0
        ]
        parts.append(path(points, COLOURS[name], 2.0))
        parts += [circle(*each, COLOURS[name]) for each in points]
        never = [float(share) for share, each in found.items() if each is None and float(share) < 1]
        if never:
            x = across.place(min(never))
            parts.append(text(x, up.place(high) + 16, "never delivered", COLOURS[name]))
    return picture("Quantiles of latency", legend_of(line), across, up, "ms", parts, sides)


def throughput_plot(line: Mapping[str, Any]) -> str:
    """Return every window's records a second, both sides, with their medians and the target."""
    rates = line["rates"]
    values = [each for side in rates.values() for each in side["windows"]]
    count = max((len(side["windows"]) for side in rates.values()), default=1)
    across = linear(0, count, LEFT, WIDTH - RIGHT, "")
    up = linear(0, max([*values, line["target"]]) * 1.15, HEIGHT - BOTTOM, TOP, "")
    half = (across.place(1) - across.place(0)) * 0.36
    parts = []
    for turn, (name, side) in enumerate(rates.items()):
        for n, each in enumerate(side["windows"]):
            x = across.place(n) + half * (0.3 + turn * 1.1)
            parts.append(
                rect(x, up.place(each), half, HEIGHT - BOTTOM - up.place(each), COLOURS[name])
            )
        y = up.place(side["median"])
        parts.append(path([(LEFT, y), (WIDTH - RIGHT, y)], COLOURS[name], 1.2, "3 3"))
    y = up.place(line["target"])
    parts.append(
        path([(LEFT, y), (WIDTH - RIGHT, y)], ALARM, dash="6 4")
        + text(WIDTH - RIGHT - 4, y - 4, f"target {line['target']}/s", ALARM, "end")
    )
    title = f"Throughput by second, {line['in_flight']} in flight (dotted: medians)"
    return picture(title, legend_of(line), across, up, "records/s", parts, rates)


def ratio_plot(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return binding against raw: ratios with their intervals, one row a run; 1 is the raw client."""
    rows: list[tuple[str, Sequence[float]]] = []
    for each in lines:
        found = each.get("ratio") or each.get("ratio_p99")
        if found:
            kind = (
                "throughput (more is better)"
                if each.get("ratio")
                else f"p99 of seconds at {each['offered']['rate']:g}/s (less is better)"
            )
            who = each["sides"]["binding"].partition(" (")[0]
            suffix = ", with a replay" if each["what"] == "replay" else ""
            rows.append((f"{who}: {kind}{suffix}", found))
    low = min([0.5, *(max(each[1], 1e-2) for _, each in rows)])
    high = max([2.0, *(each[2] for _, each in rows if each[2] < NEVER)])
    across = logarithmic(low * 0.8, high * 1.25, LEFT, WIDTH - RIGHT)
    step = 44
    bottom = TOP + step * max(1, len(rows))
    parts = [path([(across.place(1), TOP), (across.place(1), bottom)], ALARM, dash="6 4")]
    for n, (name, (middle, least, most)) in enumerate(rows):
        y = TOP + step * n + 30
        ends = [across.place(max(low * 0.8, min(each, high * 1.25))) for each in (least, most)]
        parts.append(path([(each, y) for each in ends], COLOURS["binding"], 2.0))
        parts.append(circle(across.place(middle), y, COLOURS["binding"], 4))
        parts.append(text(LEFT, y - 10, f"{name}: {middle:.2f} ({least:.2f} to {most:.2f})", GREY))
    return picture(
        "Binding against the raw client, in the same run",
        "",
        across,
        None,
        "",
        parts,
        height=bottom + BOTTOM,
    )


def legend_of(line: Mapping[str, Any]) -> str:
    """Return who was measured, as text."""
    return "; ".join(f"{NAMES[name]}: {each}" for name, each in line["sides"].items())


# -- scales ---------------------------------------------------------------------------------


def linear(low: float, high: float, start: float, end: float, unit: str) -> Axis:
    """Return a linear scale with some six round marks."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / 5))
    step *= next(each for each in (1, 2, 5, 10) if span / (step * each) <= 7)
    marks = []
    value = math.ceil(low / step) * step
    while value <= high + 1e-9:
        marks.append((value, f"{value:g} {unit}".strip()))
        value += step
    return Axis(lambda v: start + (v - low) / span * (end - start), marks)


def logarithmic(low: float, high: float, start: float, end: float) -> Axis:
    """Return a logarithmic scale with marks at 1, 2 and 5."""
    low = max(low, 1e-3)
    a, b = math.log10(low), math.log10(max(high, low * 10))
    marks = [
        (m * 10**e, f"{m * 10**e:g}")
        for e in range(math.floor(a), math.ceil(b) + 1)
        for m in ((1, 2, 5) if b - a < 2.5 else (1,))
        if low <= m * 10**e <= 10**b
    ]
    return Axis(lambda v: start + (math.log10(max(v, low)) - a) / (b - a) * (end - start), marks)


def nines(start: float, end: float) -> Axis:
    """Return a scale on which every nine takes the same room: 50 %, 90 %, 99 %, 99.9 %, ..."""
    marks = [(0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")]
    low, high = -math.log10(0.5), 4.0
    return Axis(
        lambda v: start + (min(-math.log10(1 - v), high) - low) / (high - low) * (end - start - 24),
        marks,
    )


# -- shapes ---------------------------------------------------------------------------------


def picture(
    title: str,
    legend: str,
    across: Axis,
    up: Axis | None,
    unit: str,
    parts: Sequence[str],
    keyed: Iterable[str] = ("binding", "control"),
    height: int = HEIGHT,
) -> str:
    """Return a whole SVG: frame, marks, title, legend and what is drawn."""
    frame = []
    for value, name in across.marks:
        x = across.place(value)
        frame.append(path([(x, TOP), (x, height - BOTTOM)], "#e2e5ea"))
        frame.append(text(x, height - BOTTOM + 16, name, GREY, "middle"))
    for value, name in up.marks if up is not None else ():
        y = up.place(value) if up is not None else 0.0
        frame.append(path([(LEFT, y), (WIDTH - RIGHT, y)], "#e2e5ea"))
        frame.append(text(LEFT - 6, y + 4, name, GREY, "end"))
    keys = []
    x = float(WIDTH - RIGHT)
    for name in reversed(list(keyed) if up is not None else []):
        x -= 7.0 * len(NAMES[name])
        keys.append(text(x, 18, NAMES[name], COLOURS[name]))
        keys.append(rect(x - 16, 9, 11, 11, COLOURS[name]))
        x -= 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" font-family="sans-serif" font-size="12">'
        f"<title>{escape(title)}</title>"
        + rect(0, 0, WIDTH, height, "#ffffff")
        + text(LEFT, 18, title, "#1b1f24", weight="bold")
        + text(LEFT, 34, legend, GREY, size=10)
        + text(8, TOP - 6, unit, GREY)
        + "".join([*frame, *parts, *keys])
        + "</svg>\n"
    )


def rect(x: float, y: float, width: float, height: float, colour: str, title: str = "") -> str:
    """Return a filled box."""
    inner = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}" '
        f'fill="{colour}">{inner}</rect>'
    )


def path(
    points: Sequence[tuple[float, float]],
    colour: str,
    width: float = 1.0,
    dash: str = "",
    opacity: float = 1.0,
) -> str:
    """Return a line through points."""
    if not points:
        return ""
    shown = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    more = f' stroke-dasharray="{dash}"' if dash else ""
    more += f' opacity="{opacity:g}"' if opacity < 1 else ""
    return (
        f'<polyline points="{shown}" fill="none" stroke="{colour}" stroke-width="{width:g}"{more}/>'
    )


def circle(x: float, y: float, colour: str, radius: float = 2.5) -> str:
    """Return a dot."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>'


def text(
    x: float,
    y: float,
    content: str,
    colour: str,
    anchor: str = "start",
    *,
    size: int = 12,
    weight: str = "normal",
) -> str:
    """Return a line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}">{escape(content)}</text>'
    )


@dataclass(frozen=True)
class Picture:
    """A drawing: its file name, what it shows, and the SVG text."""

    name: str
    title: str
    svg: str


def pictures(loads: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Return every picture that these lines give."""
    found = []
    for each in loads:
        if each["what"] == "throughput":
            found.append(Picture("throughput.svg", "Throughput by second", throughput_plot(each)))
            continue
        prefix, beside = ("replay-", " beside a replay") if each["what"] == "replay" else ("", "")
        found += [
            Picture(f"{prefix}latency.svg", f"Latency over time{beside}", latency_over_time(each)),
            Picture(f"{prefix}quantiles.svg", f"Latency quantiles{beside}", quantile_plot(each)),
        ]
    if any(each.get("ratio") or each.get("ratio_p99") for each in loads):
        found.append(Picture("ratio.svg", "Binding against the raw client", ratio_plot(loads)))
    return found
