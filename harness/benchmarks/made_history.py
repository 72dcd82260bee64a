"""Makes whole, legal histories of any size, with the mix of events of a campaign.

What they hold, a scope: producers publish to twelve keys of three domains, some through the raw
client (1 in 16) and a few with an unknown outcome (1 in 400, tried four times on the wire); two groups of two members
each handle everything. 1 of 200 handlings fails once, 1 of 1000 records ends as a dead letter
after four attempts. Every 4096 records a member is killed over what it has in its hands, or frozen
for a while; every 8192 consumers stall; every 16384 a replay is asked for. The broker's count is asked every 16
records. In the end the log, the dead letters and the wire are read. About 10.2 events a record,
340 bytes an event, as in recorded campaigns. From the fifth scope on the events of the first four are
written again under other names: no property looks across scopes.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from ampy_conformance.history import properties
from ampy_conformance.history.file import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

EVENTS_OF_A_RECORD = 10.1
DRAWN = 4
CHUNK = 1 << 24

RECORDS = """
CREATE OR REPLACE TEMP TABLE records AS
SELECT *,
       CASE WHEN raw THEN 'ampy.dev.fx.v1.rates' WHEN k < 6 THEN 'ampy.dev.bars.v1.XNAS.S' || k
            WHEN k < 10 THEN 'ampy.dev.orders.v1.requests' ELSE 'ampy.dev.fx.v1.rates' END AS topic,
       CASE WHEN raw THEN 'USD.JPY-1' WHEN k < 6 THEN 'XNAS.S' || k
            WHEN k < 10 THEN 'co_20250905_00' || k ELSE 'EUR.USD-' || k END AS key,
       CASE WHEN k BETWEEN 6 AND 9 AND NOT raw
            THEN 'co_20250905_00' || k || '|' || left(md5(n || 'd'), 18) END AS dedupe,
       sha256($scope || '/' || n) AS body,
       CAST(CAST(md5($scope || 'm' || n) AS UUID) AS VARCHAR) AS id,
       NOT raw AND n % 400 = 397 AS unknown,
       (raw OR k NOT BETWEEN 6 AND 9) AS loose
FROM (SELECT n, n % 12 AS k, n % 16 = 15 AS raw, n // 12 % 8 AS p, n // 96 AS pseq
      FROM range($records) AS t(n))
"""
# Who handles record n in group g, and when: a hundred units of time a record.
HANDLINGS = """
CREATE OR REPLACE TEMP TABLE handlings AS
SELECT n, g, try, tries, died,
       n * 100 + 50 + g + (try - 1) * 3000 AS due,
       's' || g || '.' || (CASE WHEN died AND try = 2 THEN epoch + 1 ELSE epoch END) || '.'
       || (CASE WHEN frozen OR (died AND try = 2) THEN 1 ELSE n % 2 END) AS sub,
       try < tries OR dead AS failed, dead
FROM (
  SELECT n, g, n // 4096 AS epoch,
         g = 1 AND n // 4096 % 2 = 1 AND n % 4096 BETWEEN 2000 AND 2500 AS frozen,
         g = 0 AND n % 1000 = 502 AND loose AS dead,
         g = 0 AND n % 4096 > 4050 AND n % 2 = 0 AND loose AND n % 1000 <> 502 AND n % 200 <> 76 AS died,
         loose AND n % 200 = 76 AS again,
         unnest(range(1, CASE WHEN g = 0 AND n % 1000 = 502 AND loose THEN 5
                              WHEN (g = 0 AND n % 4096 > 4050 AND n % 2 = 0 AND loose)
                                OR (loose AND n % 200 = 76) THEN 3 ELSE 2 END)) AS try,
         CASE WHEN g = 0 AND n % 1000 = 502 AND loose THEN 4
              WHEN (g = 0 AND n % 4096 > 4050 AND n % 2 = 0 AND loose)
                OR (loose AND n % 200 = 76) THEN 2 ELSE 1 END AS tries
  FROM records, range(2) AS t(g))
"""
LINES = """
COPY (
WITH
line(due, rest) AS (
  SELECT -10, '"kind": "mark", "actor": "driver-1/0", "incarnation": 0, "detail": {"max_attempts": 4, "backoff_base_ms": 400}'
  UNION ALL
  SELECT min(due) - 40, '"kind": "mark", "actor": "a' || sub || '", "incarnation": 0, "group": "g' || g || '", "subscription": "' || sub
    || '", "detail": {"subscribed": "ampy.dev.>", "start": "earliest", "credit": 64}'
  FROM handlings GROUP BY g, sub
  UNION ALL
  SELECT n * 100, CASE WHEN raw
    THEN '"kind": "inject", "actor": "raw", "incarnation": 0, "message_id": "' || id || '", "topic": "' || topic || '", "key": "' || key || '", "position": "' || (n + 1) || '", "body_hash": "' || body || '"'
    ELSE '"kind": "invoke", "actor": "harness", "incarnation": 0, "uid": "p' || p || '/' || key || '/' || pseq || '/' || n || '", '
      || coalesce('"dedupe_key": "' || dedupe || '", ', '') || '"topic": "' || topic || '", "key": "' || key || '", "producer": "p' || p || '", "pseq": ' || pseq || ', "body_hash": "' || body || '"' END
  FROM records
  UNION ALL
  SELECT n * 100 + 20, CASE WHEN unknown
    THEN '"kind": "info", "actor": "harness", "incarnation": 0, "uid": "p' || p || '/' || key || '/' || pseq || '/' || n || '", "topic": "' || topic || '", "producer": "p' || p || '", "body_hash": "' || body || '"'
    ELSE '"kind": "ok", "actor": "driver-1/0", "incarnation": 0, "uid": "p' || p || '/' || key || '/' || pseq || '/' || n || '", "message_id": "' || id || '", "topic": "' || topic || '", "producer": "p' || p || '", "position": "' || (n + 1) || '", "body_hash": "' || body || '"' END
  FROM records WHERE NOT raw
  UNION ALL
  SELECT due, '"kind": "deliver", "actor": "a' || sub || '", "incarnation": 0, "message_id": "' || id || '", ' || coalesce('"dedupe_key": "' || dedupe || '", ', '')
    || '"topic": "' || topic || '", "key": "' || key || '", "group": "g' || g || '", "subscription": "' || sub || '", "delivery": "' || sub || '.' || n || '.' || try
    || '", "attempt": ' || try || ', "position": "' || (n + 1) || '", "body_hash": "' || body || '", "detail": {"started_ns": ' || due * 10000 || '}'
  FROM handlings JOIN records USING (n)
  UNION ALL
  SELECT due + 4, CASE WHEN failed
    THEN '"kind": "settle", "actor": "a' || sub || '", "incarnation": 0, "group": "g' || g || '", "subscription": "' || sub || '", "delivery": "' || sub || '.' || n || '.' || try || '", "body_hash": "' || body || '", "detail": {"verdict": "fail"}'
    ELSE '"kind": "effect", "actor": "a' || sub || '", "incarnation": 0, "group": "g' || g || '", "subscription": "' || sub || '", "delivery": "' || sub || '.' || n || '.' || try || '", "body_hash": "' || body || '", "detail": {"verdict": "ack"}' END
  FROM handlings JOIN records USING (n) WHERE NOT (died AND try = 1)
  UNION ALL
  SELECT due + 9, '"kind": "settled", "actor": "harness", "incarnation": 0, "group": "g' || g || '", "subscription": "' || sub || '", "delivery": "' || sub || '.' || n || '.' || try
    || '", "detail": {"recorded": ' || (CASE WHEN failed THEN 'false' ELSE 'true' END) || ', "ack": "ok"}'
  FROM handlings WHERE NOT (died AND try = 1)
  UNION ALL
  SELECT n * 100 + 60, '"kind": "checkpoint", "actor": "raw", "incarnation": 0, "group": "g' || g || '", "position": "' || greatest(0, n - 450) || '", "detail": {"stream": "AMPY"}'
  FROM records, range(2) AS t(g) WHERE n % 16 = 8
  UNION ALL
  SELECT n * 100 + 99, '"kind": "fault", "actor": "as0.' || n // 4096 || '.0", "incarnation": 0, "detail": {"fault": "killed"}' FROM records WHERE n % 4096 = 4095
  UNION ALL
  SELECT n * 100 + 1, '"kind": "fault", "actor": "harness", "incarnation": 0, "subscription": "s1.' || n // 4096 || '.0", "detail": {"fault": "' || (CASE n % 4096 WHEN 2000 THEN 'paused' ELSE 'resumed' END) || '"}'
  FROM records WHERE n // 4096 % 2 = 1 AND n % 4096 IN (2000, 2500)
  UNION ALL
  SELECT n * 100 + 1, '"kind": "fault", "actor": "harness", "incarnation": 0, "detail": {"fault": "' || (CASE n % 8192 WHEN 3000 THEN 'stall' ELSE 'healed' END) || '"}'
  FROM records WHERE n % 8192 IN (3000, 3300)
  UNION ALL
  SELECT n * 100 + 2, '"kind": "replay", "actor": "harness", "incarnation": 0, "topic": "ampy.dev.control.v1.replay_requests", "detail": {"request": "r' || n || '", "domain": "bars", "from_ns": ' || (n - 2000) * 1000000 || ', "until_ns": ' || (n - 1900) * 1000000 || ', "narrow": false}'
  FROM records WHERE n % 16384 = 16000
  UNION ALL
  SELECT r.n * 100 + 200 + m.n % 1000, '"kind": "deliver", "actor": "ar.' || r.n || '", "incarnation": 0, "message_id": "' || m.id || '", "topic": "' || m.topic || '", "key": "' || m.key || '", "group": "g0", "subscription": "r.' || r.n
    || '", "delivery": "r.' || r.n || '.' || m.n || '", "attempt": 1, "position": "' || (m.n + 1) || '", "body_hash": "' || m.body || '", "detail": {"started_ns": ' || (r.n * 100 + 200 + m.n % 1000) * 10000 || ', "replay": "r' || r.n || '"}'
  FROM records AS r JOIN records AS m ON m.n >= r.n - 2000 AND m.n < r.n - 1900 AND m.k < 6 AND NOT m.raw WHERE r.n % 16384 = 16000
  UNION ALL
  SELECT ($records + 500) * 100, '"kind": "mark", "actor": "harness", "incarnation": 0, "detail": {"phase": "drained", "drained": true}'
  UNION ALL
  SELECT ($records + 1000 + n) * 100, '"kind": "audit", "actor": "raw", "incarnation": 0, "message_id": "' || id || '", ' || coalesce('"dedupe_key": "' || dedupe || '", ', '') || '"topic": "' || topic || '", "key": "' || key || '", "position": "' || (n + 1) || '", "body_hash": "' || body
    || '", "detail": {"stream": "AMPY", "produced_ns": ' || n * 1000000 || '}'
  FROM records
  UNION ALL
  SELECT ($records * 2 + 2000 + n) * 100, '"kind": "dlq", "actor": "raw", "incarnation": 0, "message_id": "' || id || '", "topic": "ampy.dev.dlq.v1.' || split_part(topic, '.', 3) || '", "key": "' || key || '", "position": "' || (n // 1000 + 1) || '", "body_hash": "' || body || '", "detail": {"stream": "AMPY_DLQ", "missing_headers": 0}'
  FROM records WHERE n % 1000 = 502 AND loose
  UNION ALL
  SELECT ($records * 3 + 3000 + n) * 100 + i, '"kind": "wire", "actor": "raw", "incarnation": 0, "message_id": "' || id || '", "topic": "' || topic || '", "body_hash": "' || body
    || '", "detail": {"at_ns": ' || n * 1000000 + CAST(400000000 * (2 ** i - 1) * (1 + n // 400 * 7 % 400 / 1000.0) AS BIGINT) || '}'
  FROM (SELECT *, unnest(range(CASE WHEN unknown THEN 4 ELSE 1 END)) AS i FROM records)
  UNION ALL
  SELECT ($records * 5 + 9000) * 100, '"kind": "mark", "actor": "harness", "incarnation": 0, "detail": {"audited": true}')
SELECT '{"case": "' || $scope || '", "seq": ' || row_number() OVER (ORDER BY due, rest) - 1 || ', "t_ns": ' || (due + 10) * 10000 || ', ' || rest || '}' AS line
FROM line ORDER BY due, rest
) TO 'PART' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01')
"""


def make(path: Path, events: int, scopes: int) -> int:
    """Write a history of about so many events as JSON Lines, and return how many it holds."""
    connection = properties.duckdb().connect()
    connection.execute("SET enable_progress_bar = false")
    records = round(events / scopes / EVENTS_OF_A_RECORD)
    digest = hashlib.sha256()
    parts: list[Path] = []
    counts: list[int] = []
    with path.open("wb") as stream:

        def put(data: bytes) -> None:
            digest.update(data)
            stream.write(data)

        head = {"kind": "history", "schema": SCHEMA_VERSION, "driver": {"name": "made"}, "seed": 0}
        put(json.dumps(head).encode() + b"\n")
        for each in range(scopes):
            if each < DRAWN:
                parts.append(path.with_suffix(f".part{each}"))
                facts = {"scope": f"campaign {each}", "records": records}
                connection.execute(RECORDS, facts)
                connection.execute(HANDLINGS)
                answer = connection.execute(LINES.replace("PART", str(parts[each])), facts)
                counts.append(answer.fetchone()[0])
            drawn, new = each % DRAWN, f'{{"case": "campaign {each}"'.encode()
            old = f'{{"case": "campaign {drawn}"'.encode()
            with parts[drawn].open("rb") as lines:
                while some := lines.readlines(CHUNK):
                    put(b"".join(some).replace(old, new))
        count = sum(counts[each % DRAWN] for each in range(scopes))
        end = {"kind": "end", "events": count, "digest": digest.hexdigest()}
        stream.write(json.dumps(end).encode() + b"\n")
    for each in parts:
        each.unlink()
    return count
