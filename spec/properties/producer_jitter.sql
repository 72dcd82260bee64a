-- property: producer_jitter
-- clauses: RTY-02
-- severity: fail
-- means: the first pauses of many producers are all the same
-- coverage
SELECT count(*) FROM gaps WHERE n = 1 AND records >= 30
-- violations
SELECT scope, seq,
       'the middle 80 % of ' || records || ' pauses lie within ' || round(highest - lowest, 1) || ' ms' AS says
FROM gaps
WHERE n = 1 AND records >= 30 AND highest - lowest < 0.04 * middle
