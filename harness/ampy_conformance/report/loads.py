"""Load runs as people read them: from lines of the report to tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

WORDS = {"pass": "green", "fail": "red", "inconclusive": "yellow", "warn": "yellow"}
TITLES = {"latency": "latency", "replay": "latency beside a replay"}


def show(loads: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print load runs as tables, with what is worth knowing of the machine."""
    for each in loads:
        console.print(_throughput(each) if each["what"] == "throughput" else _latency(each))
        for note in _notes(each):
            console.print(f"[dim]{escape(note)}[/]", highlight=False)


def _latency(load: Mapping[str, Any]) -> Table:
    offered = load["offered"]
    sizes = ", ".join(f"{each['bytes']} B" for each in offered["mix"])
    table = Table(
        title=f"{TITLES[load['what']]} at {offered['rate']:g}/s of {sizes}",
        title_justify="left",
        box=None,
    )
    for name in ("limit", "verdict", "over it", "between", "raw over it", "records"):
        table.add_column(
            name, justify="left" if name in ("limit", "verdict") else "right", no_wrap=True
        )
    for each in load["limits"]:
        colour = WORDS[each["outcome"]]
        table.add_row(
            f"{each['clause']} {each['limit_ms']} ms",
            f"[{colour}]{each['outcome']}[/]",
            f"{each['binding']['share']:.2%}",
            f"{each['binding']['low']:.1%} {each['binding']['high']:.1%}",
            f"{each['control']['share']:.2%}",
            str(each["binding"]["records"]),
        )
    return table


def _throughput(load: Mapping[str, Any]) -> Table:
    table = Table(
        title=f"throughput, {load['in_flight']} in flight, target {load['target']}/s",
        title_justify="left",
        box=None,
    )
    for name in ("side", "records/s", "between", "acknowledged", "found in the log"):
        table.add_column(name, justify="left" if name == "side" else "right")
    for name, each in load["rates"].items():
        table.add_row(
            load["sides"][name],
            f"{each['median']}",
            f"{each['low']} to {each['high']}",
            str(each["acknowledged"]),
            str(each["verified"]),
        )
    return table


def _notes(load: Mapping[str, Any]) -> list[str]:
    if load["what"] == "throughput":
        ratio = f"binding to raw: {_interval(load['ratio'])}"
        said = f": {load['reason']}" if load.get("reason") else ""
        # Reports of before the throughput had a verdict are read, too.
        return [f"{load['outcome']}{said}", ratio] if "outcome" in load else [ratio]
    found = [
        f"{each['clause']} ({', '.join(each['domains'])}): {each['reason']}"
        for each in load["limits"]
        if each["reason"]
    ]
    for name in ("binding", "control"):
        mine = load["quantiles_ms"][name]
        shown = ", ".join(
            f"p{float(q) * 100:g} {_ms(mine[q])}" for q in ("0.5", "0.99", "0.999", "1")
        )
        found.append(f"{load['sides'][name]}: {shown}")
    if load["ratio_p99"]:
        found.append(f"p99 of seconds, binding to raw: {_interval(load['ratio_p99'])}")
    found += [
        f"saturated ({each['side']}): {each['saturated']}"
        for each in load["stretches"]
        if each["saturated"]
    ]
    foreign = [each["machine"]["foreign"] or 0.0 for each in load["stretches"]]
    late = [each["machine"]["hiccups_ms"].get("p99", 0.0) for each in load["stretches"]]
    if foreign:
        found.append(
            f"machine: others used up to {max(foreign):.0%} of it, timers up to {max(late):.1f} ms late at p99"
        )
    return found


def _interval(each: Sequence[float] | None) -> str:
    if each is None:
        return "not to be told"
    return f"{each[0]:.2f} ({each[1]:.2f} to {each[2]:.2f})"


def _ms(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} ms"
