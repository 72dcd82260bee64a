-- property: producer_backoff
-- clauses: RTY-01
-- severity: fail
-- means: the pauses between the attempts of producers do not grow
-- coverage
SELECT count(*) FROM medians WHERE n >= 3 AND records >= 30
-- violations
SELECT b.scope, b.seq,
       'the median pause goes from ' || round(a.middle) || ' ms to ' || round(b.middle) || ' ms' AS says
FROM medians AS a
JOIN medians AS b ON b.scope = a.scope AND b.n = a.n + 2
WHERE a.n = 1 AND a.records >= 30 AND b.records >= 30 AND b.middle < 1.69 * a.middle
