"""How fast all temporal properties judge a history, as a ratio to one plain scan of the same file.

    python harness/benchmarks/check_rate.py [EVENTS ...]

Events are made, not recorded: publishes through two producers to one group, each record handled
once and found in the log. Loading (reading the lines) and judging are told apart. Times of one
machine mean little; the ratio to the scan is what is comparable.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from ampy_conformance import contract as contracts
from ampy_conformance.history import properties

EVENTS_OF_A_RECORD = 6
KEYS = 64
CASES = 50  # records of one scope are many: a campaign is one scope
MAKE = """
COPY (
  WITH r AS (
    SELECT i AS n, i // {per_case} AS c, i % {per_case} AS m, i % {keys} AS k, i % 2 AS p
    FROM range({records}) AS t(i)),
  e AS (
    SELECT c, m * 5 AS s, n, 'invoke' AS kind FROM r UNION ALL
    SELECT c, m * 5 + 1, n, 'ok' FROM r UNION ALL
    SELECT c, m * 5 + 2, n, 'deliver' FROM r UNION ALL
    SELECT c, m * 5 + 3, n, 'effect' FROM r UNION ALL
    SELECT c, m * 5 + 4, n, 'settled' FROM r UNION ALL
    SELECT c, {per_case} * 5 + m, n, 'audit' FROM r)
  SELECT 'case ' || e.c AS "case", e.s AS seq, e.s * 1000 AS t_ns, e.kind, 'p' || r.p AS producer,
         'p' || r.p || '/' || r.n AS uid, r.m AS pseq, 'ampy.dev.bars.v1.XNAS.S' || r.k AS topic,
         'k' || r.k AS key, 'b' || r.n AS body_hash, 'm' || r.n AS message_id,
         CASE WHEN e.kind IN ('deliver', 'effect', 'settled') THEN 'g' END AS "group",
         CASE WHEN e.kind IN ('deliver', 'effect', 'settled') THEN 's' END AS subscription,
         CASE WHEN e.kind IN ('deliver', 'effect', 'settled') THEN 'd' || r.n END AS delivery,
         CASE WHEN e.kind IN ('deliver', 'audit') THEN CAST(r.m + 1 AS VARCHAR) END AS position,
         CASE WHEN e.kind = 'deliver' THEN 1 END AS attempt,
         {{'recorded': e.kind = 'settled', 'stream': 'S'}} AS detail
  FROM e JOIN r USING (n) ORDER BY e.c, e.s)
TO '{path}' (FORMAT json)
"""

SCAN = """
SELECT count(*), max(kind), max(length(body_hash))
FROM read_json('{path}', format = 'newline_delimited',
               columns = {{kind: 'VARCHAR', body_hash: 'VARCHAR'}})
"""


def measure(contract: contracts.Contract, events: int, folder: Path) -> None:
    """Make a history of about so many events, judge it, and print one row."""
    path = folder / f"{events}.jsonl"
    records = events // EVENTS_OF_A_RECORD
    make = properties.duckdb().connect()
    make.execute("SET enable_progress_bar = false")
    per_case = -(-records // CASES)
    make.execute(MAKE.format(per_case=per_case, keys=KEYS, records=records, path=path))
    began = time.perf_counter()
    make.execute(SCAN.format(path=path)).fetchall()
    scan = time.perf_counter() - began
    make.close()
    rules = properties.load(contract)
    began = time.perf_counter()
    connection = properties.open_history(contract, path)
    loaded = time.perf_counter() - began
    results = properties.judge(connection, rules)
    whole = time.perf_counter() - began
    wrong = [each.rule.name for each in results if each.total and each.rule.severity == "fail"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"{records * EVENTS_OF_A_RECORD:>12,} {scan:>8.2f} {loaded:>8.2f} {whole - loaded:>8.2f} "
        f"{events / whole / 1e6:>10.2f} {whole / scan:>8.1f} {peak:>8.2f}  {wrong or ''}",
        flush=True,
    )
    connection.close()
    path.unlink()


def main() -> None:
    """Measure each size asked for."""
    contract = contracts.load()
    sizes = [int(each) for each in sys.argv[1:]] or [1_000_000, 5_000_000]
    print(f"{'events':>12} {'scan s':>8} {'load s':>8} {'judge s':>8} {'M events/s':>10} "
          f"{'x scan':>8} {'peak GB':>8}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for each in sizes:
            measure(contract, each, Path(folder))


if __name__ == "__main__":
    main()
