-- property: producer_jitter
-- clauses: RTY-02
-- severity: fail
-- means: the first pauses of many producers are all the same
-- coverage
WITH gaps AS (
  SELECT w.scope, w.seq, w.body_hash,
         (w.at_ns - lag(w.at_ns) OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq)) / 1000000.0 AS ms,
         row_number() OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq) - 1 AS n
  FROM sent AS w
  SEMI JOIN events AS f ON f.scope = w.scope AND f.kind = 'mark' AND f.backoff_base_ms >= 200
  SEMI JOIN publishes AS p ON p.scope = w.scope AND p.body_hash = w.body_hash AND p.outcome <> 'ok'),
medians AS (
  SELECT scope, n, max(seq) AS seq, median(ms) AS middle, count(*) AS records,
         quantile_cont(ms, 0.9) - quantile_cont(ms, 0.1) AS spread
  FROM gaps WHERE n >= 1 GROUP BY scope, n)
SELECT count(*) FROM medians WHERE n = 1 AND records >= 30
-- violations
WITH gaps AS (
  SELECT w.scope, w.seq, w.body_hash,
         (w.at_ns - lag(w.at_ns) OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq)) / 1000000.0 AS ms,
         row_number() OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq) - 1 AS n
  FROM sent AS w
  SEMI JOIN events AS f ON f.scope = w.scope AND f.kind = 'mark' AND f.backoff_base_ms >= 200
  SEMI JOIN publishes AS p ON p.scope = w.scope AND p.body_hash = w.body_hash AND p.outcome <> 'ok'),
medians AS (
  SELECT scope, n, max(seq) AS seq, median(ms) AS middle, count(*) AS records,
         quantile_cont(ms, 0.9) - quantile_cont(ms, 0.1) AS spread
  FROM gaps WHERE n >= 1 GROUP BY scope, n)
SELECT m.scope, m.seq,
       'the middle 80 % of ' || m.records || ' pauses lie within ' || round(m.spread, 1) || ' ms' AS says
FROM medians AS m
WHERE m.n = 1 AND m.records >= 30 AND m.spread < 0.04 * m.middle
