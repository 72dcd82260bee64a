"""Pictures of load runs: well-formed, with everything on them that was measured."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

from ampy_conformance.report import plots

SVG = "{http://www.w3.org/2000/svg}"
SIDES = {"binding": "mine <1> (client)", "control": "raw-nats"}


def stretch(side: str, begins: float, rows: list[list[float | None]]) -> dict[str, Any]:
    return {"side": side, "begins": begins, "seconds": len(rows), "per_second_ms": rows}


def latency(**more: Any) -> dict[str, Any]:
    return {
        "what": "latency",
        "offered": {"rate": 1050.0, "mix": [], "domains": []},
        "sides": SIDES,
        "limits": [{"limit_ms": 50}, {"limit_ms": 150}],
        "quantiles_ms": {
            "binding": {"0.5": 2.0, "0.99": 40.0, "0.999": None, "1": None},
            "control": {"0.5": 1.0, "0.99": 9.0, "0.999": 20.0, "1": 30.0},
        },
        "ratio_p99": [2.0, 1.5, 2.5],
        "stretches": [
            stretch("binding", 0.0, [[2.0, 40.0, 55.0], [2.0, None, None]]),
            stretch("control", 3.0, [[1.0, 9.0, 30.0], [1.0, 9.0, 30.0]]),
        ],
        **more,
    }


THROUGHPUT = {
    "what": "throughput",
    "sides": SIDES,
    "target": 10_000,
    "in_flight": 512,
    "rates": {
        "binding": {"windows": [5000, 6000], "median": 5500},
        "control": {"windows": [12_000, 9000], "median": 10_500},
    },
    "ratio": [0.52, 0.4, 0.7],
}


def drawn(svg: str) -> ET.Element:
    root = ET.fromstring(svg)  # noqa: S314 (our own text)
    assert root.tag == f"{SVG}svg"
    assert not re.search(r"\b(nan|inf)\b", svg, re.IGNORECASE)
    for each in root.iter(f"{SVG}polyline"):
        for x, y in (pair.split(",") for pair in each.attrib["points"].split()):
            assert 0 <= float(x) <= plots.WIDTH
            assert float(y) >= 0
    return root


def words(root: ET.Element) -> str:
    return " ".join(each.text or "" for each in root.iter(f"{SVG}text"))


def test_every_picture_is_well_formed_and_named() -> None:
    found = plots.pictures([latency(), THROUGHPUT, latency(what="replay")])
    assert [each.name for each in found] == [
        "latency.svg", "quantiles.svg", "throughput.svg", "replay-latency.svg",
        "replay-quantiles.svg", "ratio.svg",
    ]  # fmt: skip
    for each in found:
        assert each.title
        assert next(drawn(each.svg).iter(f"{SVG}title")).text


def test_the_turns_of_the_raw_client_are_bands_and_limits_are_lines() -> None:
    root = drawn(plots.latency_over_time(latency()))
    bands = [e for e in root.iter(f"{SVG}rect") if e.attrib["fill"] == plots.BAND]
    assert len(bands) == 1
    assert "p99 limit 50 ms" in words(root)
    assert "p99 limit 150 ms" in words(root)
    replay = drawn(plots.latency_over_time(latency(what="replay")))
    assert [e for e in replay.iter(f"{SVG}rect") if e.attrib["fill"] == plots.ALARM]


def test_what_never_came_is_at_the_top_and_said() -> None:
    root = drawn(plots.quantile_plot(latency()))
    assert "never delivered" in words(root)
    mine = [
        each
        for each in root.iter(f"{SVG}circle")
        if each.attrib["fill"] == plots.COLOURS["binding"]
    ]
    heights = [float(each.attrib["cy"]) for each in mine]
    assert min(heights) == heights[-1] == float(plots.TOP)


def test_nines_have_equal_room() -> None:
    place = plots.nines(0, 1000).place
    steps = [place(b) - place(a) for a, b in ((0.9, 0.99), (0.99, 0.999), (0.999, 0.9999))]
    assert max(steps) - min(steps) < 1e-6


def test_ratios_show_their_intervals() -> None:
    root = drawn(plots.ratio_plot([latency(), THROUGHPUT]))
    assert "2.00 (1.50 to 2.50)" in words(root)
    assert "0.52 (0.40 to 0.70)" in words(root)


def test_a_run_of_which_nothing_is_known_is_no_error() -> None:
    empty = latency(stretches=[], limits=[], quantiles_ms={"binding": {}, "control": {}})
    drawn(plots.latency_over_time(empty))
    drawn(plots.quantile_plot(empty))
