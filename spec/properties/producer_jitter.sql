-- property: producer_jitter
-- clauses: RTY-02
-- severity: fail
-- means: the first pauses of many producers are all the same
-- coverage
SELECT count(*) FROM medians WHERE n = 1 AND records >= 30
-- violations
SELECT m.scope, m.seq,
       'the middle 80 % of ' || m.records || ' pauses lie within ' || round(m.spread, 1) || ' ms' AS says
FROM medians AS m
WHERE m.n = 1 AND m.records >= 30 AND m.spread < 0.04 * m.middle
