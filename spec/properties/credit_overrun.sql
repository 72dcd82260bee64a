-- property: credit_overrun
-- clauses: BKP-03
-- severity: fail
-- means: a member was given more deliveries than it had asked for
-- coverage
SELECT count(*) FROM deliveries
-- violations
WITH line AS (
  SELECT scope, subscription, seq, 1 AS step, 0 AS room FROM deliveries
  UNION ALL
  SELECT scope, subscription, seq, -1 AS step, 0 AS room FROM ends
  UNION ALL
  SELECT scope, subscription, seq, 0 AS step, credit AS room FROM marks WHERE credit IS NOT NULL),
run AS (
  SELECT scope, subscription, seq, step,
         sum(step) OVER (PARTITION BY scope, subscription ORDER BY seq
           RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS open,
         sum(room) OVER (PARTITION BY scope, subscription) AS room
  FROM line)
SELECT scope, seq, subscription || ' has ' || open || ' open deliveries, ' || room || ' were granted' AS says
FROM run WHERE step = 1 AND room > 0 AND open > room
