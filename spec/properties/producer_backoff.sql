-- property: producer_backoff
-- clauses: RTY-01
-- severity: fail
-- means: the pauses between the attempts of producers do not grow
-- coverage
WITH gaps AS (
  SELECT w.scope, w.seq, w.body_hash,
         (w.at_ns - lag(w.at_ns) OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq)) / 1000000.0 AS ms,
         row_number() OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq) - 1 AS n
  FROM sent AS w
  SEMI JOIN events AS f ON f.scope = w.scope AND f.kind = 'mark' AND f.backoff_base_ms >= 200
  SEMI JOIN publishes AS p ON p.scope = w.scope AND p.body_hash = w.body_hash AND p.outcome <> 'ok'),
medians AS (
  SELECT scope, n, max(seq) AS seq, count(*) AS records
  FROM gaps WHERE n >= 1 GROUP BY scope, n)
SELECT count(*) FROM medians WHERE n >= 3 AND records >= 30
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
         quantile_cont(ms, 0.32) AS low, quantile_cont(ms, 0.68) AS high
  FROM gaps WHERE n >= 1 GROUP BY scope, n)
SELECT b.scope, b.seq,
       'the median pause goes from ' || round(a.middle) || ' ms to ' || round(b.middle) || ' ms' AS says
FROM medians AS a
JOIN medians AS b ON b.scope = a.scope AND b.n = a.n + 2
-- Jitter may be wide: in 19 of 20 samples of thirty the true median lies between these quantiles.
WHERE a.n = 1 AND a.records >= 30 AND b.records >= 30 AND b.high < 1.69 * a.low
