"""How fast all temporal properties judge a history, and as a ratio to one plain scan of the file.

    python harness/benchmarks/check_rate.py [--runs N] [--folder FOLDER] [--lines] [EVENTS ...]

Histories are made (`made_history.py`), in scopes of half a million events, and turned into Parquet.
Each measurement is a process of its own: it scans the file (every column that a property may look
at, once), verifies it, and judges it with all properties. Times of one machine mean little, and of
a busy one less; what is comparable is the ratio to the scan of the same process, and the CPU time.
`--lines` measures the JSON Lines as well. A folder that is given keeps the files for the next run.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ampy_conformance import contract as contracts
from ampy_conformance.history import convert, properties, table, verify

if TYPE_CHECKING:
    from collections.abc import Callable

SCOPE = 500_000
WIDE = 19
COLUMNS = ("events", "file", "MB", "scan s", "verify s", "judge s", "M events/s", "x scan",
           "CPU s", "M events/CPU s", "x scan CPU", "peak GB")  # fmt: skip


def scan(path: Path) -> None:
    """Read every column that a property may look at, once."""
    parquet = properties.is_parquet(path)
    with table.engine() as connection:
        kinds = {**table.COLUMNS, **table.DETAILS}
        if parquet:
            source = f"read_parquet('{path}')"
            names = {name: f'"{name}"' for name in kinds}
        else:
            detail = ", ".join(f'"{name}" {kind}' for name, kind in table.DETAILS.items())
            columns = ", ".join(f"'{name}': '{kind}'" for name, kind in table.COLUMNS.items())
            source = (
                f"read_json('{path}', format = 'newline_delimited', "
                f"columns = {{{columns}, 'detail': 'STRUCT({detail})'}})"
            )
            names = {n: f'"{n}"' if n in table.COLUMNS else f'detail."{n}"' for n in kinds}
        sums = [
            f"sum(length({names[name]}))"
            if kind == "VARCHAR"
            else f"sum(CAST({names[name]} AS HUGEINT))"
            for name, kind in kinds.items()
        ]
        connection.execute(f"SELECT {', '.join(sums)} FROM {source}").fetchall()


def measure(path: Path) -> dict[str, Any]:
    """Scan, verify and judge one file."""
    contract = contracts.load()
    scanned, scan_cpu = _timed(lambda: scan(path))
    found: list[Any] = []
    verified, verify_cpu = _timed(lambda: found.append(verify(path)))
    rules = properties.load(contract)
    judged, judge_cpu = _timed(
        lambda: found.extend(properties.judge_history(contract, found[0], rules))
    )
    history, results = found[0], found[1:]
    whole, cpu = verified + judged, verify_cpu + judge_cpu
    return {
        "events": history.events,
        "file": path.suffix[1:],
        "MB": path.stat().st_size / 1e6,
        "scan s": scanned,
        "verify s": verified,
        "judge s": judged,
        "M events/s": history.events / whole / 1e6,
        "x scan": whole / scanned,
        "CPU s": cpu,
        "M events/CPU s": history.events / cpu / 1e6,
        "x scan CPU": cpu / scan_cpu,
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
        "violated": [
            each.rule.name for each in results if each.total and each.rule.severity == "fail"
        ],
        "no chance": [each.rule.name for each in results if not each.covered],
    }


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    used, began = _cpu(), time.perf_counter()
    work()
    return time.perf_counter() - began, _cpu() - used


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _apart(*arguments: str) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure each size asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", type=int, nargs="*", default=[1_000_000, 5_000_000])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--lines", action="store_true", help="measure the JSON Lines as well")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    if options.make:
        from made_history import make  # noqa: PLC0415 (beside this file)

        (events,) = options.events
        made = _timed(lambda: make(options.make, events, max(1, round(events / SCOPE))))
        turned = _timed(lambda: convert(options.make, options.make.with_suffix(".parquet")))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(json.dumps({"made": made, "turned": turned, "peak GB": peak}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        print(" ".join(f"{each:>{WIDE}}" for each in COLUMNS), flush=True)
        for events in options.events:
            lines = folder / f"{events}.jsonl"
            if not lines.with_suffix(".parquet").exists() or (options.lines and not lines.exists()):
                facts = _apart("--make", str(lines), str(events))
                print(
                    "made in {:.0f} s, turned into Parquet in {:.0f} s".format(
                        facts["made"][0], facts["turned"][0]
                    )
                    + f" ({facts['turned'][1]:.0f} CPU s, peak {facts['peak GB']:.2f} GB)",
                    file=sys.stderr,
                    flush=True,
                )
            if not options.lines:
                lines.unlink(missing_ok=True)
            for path in (lines.with_suffix(".parquet"), *([lines] if options.lines else [])):
                rows = [_apart("--one", str(path)) for _ in range(options.runs)]
                print(" ".join(f"{_cell(rows, each):>{WIDE}}" for each in COLUMNS), flush=True)
                wrong = {name for row in rows for name in row["violated"]}
                if wrong:
                    sys.exit(
                        f"the made history is lawful, and accused of {', '.join(sorted(wrong))}"
                    )


def _cell(rows: list[dict[str, Any]], name: str) -> str:
    """Return the median of what was measured, and from where to where it went."""
    values = [row[name] for row in rows]
    if not isinstance(values[0], float):
        return f"{values[0]:,}" if isinstance(values[0], int) else str(values[0])
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    main()
