-- property: producer_backoff
-- clauses: RTY-01
-- severity: fail
-- means: the pauses between the attempts of producers do not grow
-- coverage
SELECT count(*) FROM gaps WHERE n >= 3 AND records >= 30
-- violations
SELECT b.scope, b.seq,
       'the median pause goes from ' || round(a.middle) || ' ms to ' || round(b.middle) || ' ms' AS says
FROM gaps AS a
JOIN gaps AS b ON b.scope = a.scope AND b.n = a.n + 2
-- Jitter may be wide: in 19 of 20 samples of thirty the true median lies between these quantiles.
WHERE a.n = 1 AND a.records >= 30 AND b.records >= 30 AND b.high < 1.69 * a.low
