"""How many typical envelopes a second one core validates, with all checks.

Envelopes of all domains, each different, are judged in rounds; within each round the yardsticks
run on the same records, so that the ratios mean something on a noisy machine:

- objects:  envelopes in memory -> topic, headers, payload decoding, key and subtopic against it
- stream:   the same, and what successive records show together
- jsonl:    the same as objects, from JSON text with base64 payloads
- json:     the yardstick: `json.loads` of that text and nothing else
- protobuf: the yardstick: parsing the payloads and nothing else

    python harness/benchmarks/validate_rate.py [--records 5000] [--rounds 7] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import TYPE_CHECKING

from ampy_conformance import contract as contracts
from ampy_conformance.contract import payloads
from ampy_conformance.contract.envelope import loads, to_json
from ampy_conformance.contract.lint import Linter
from ampy_conformance.contract.samples import Samples
from ampy_conformance.contract.stream import StreamLinter

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    contract = contracts.load()
    samples = Samples(contract, seed=1)
    domains = [name for name, each in contract.domains.items() if each.payloads]
    records = [
        samples.envelope(samples.record(domains[n % len(domains)])) for n in range(options.records)
    ]
    texts = [json.dumps(to_json(each)) for each in records]
    types = payloads.types(contract)
    linter = Linter(contract)

    def objects() -> None:
        for each in records:
            assert not linter.examine(each).findings

    def stream() -> None:
        together = StreamLinter(contract)
        for each in records:
            examined = linter.examine(each)
            assert not examined.findings
            together.feed(each, examined)

    def jsonl() -> None:
        for each in texts:
            assert not linter.examine(loads(each)).findings

    def bare_json() -> None:
        for each in texts:
            json.loads(each)

    def protobuf() -> None:
        for each in records:
            types.decode(each.headers["schema_fqdn"], each.payload or b"")

    work: dict[str, Callable[[], None]] = {
        "objects": objects,
        "stream": stream,
        "jsonl": jsonl,
        "json": bare_json,
        "protobuf": protobuf,
    }
    rates: dict[str, list[float]] = {name: [] for name in work}
    for each in work.values():
        each()
    for _ in range(options.rounds):
        for name, each in work.items():
            began = time.perf_counter()
            each()
            rates[name].append(options.records / (time.perf_counter() - began))
    rows = {
        name: {
            "per_second": round(statistics.median(each)),
            "lowest": round(min(each)),
            "highest": round(max(each)),
        }
        for name, each in rates.items()
    }
    # Of each round by itself: what slows the machine down slows both.
    ratios = {
        f"{name}/{yardstick}": round(
            statistics.median(a / b for a, b in zip(rates[name], rates[yardstick], strict=True)), 3
        )
        for name, yardstick in (("objects", "protobuf"), ("stream", "objects"), ("jsonl", "json"))
    }
    if options.json:
        print(json.dumps({"records": options.records, "rates": rows, "ratios": ratios}))
        return
    print(f"{options.records} envelopes of {len(domains)} domains, {options.rounds} rounds")
    for name, row in rows.items():
        print(f"{name:<9} {row['per_second']:>9,}/s  ({row['lowest']:,} to {row['highest']:,})")
    for name, ratio in ratios.items():
        print(f"{name:<17} {ratio:.2f}")


if __name__ == "__main__":
    main()
