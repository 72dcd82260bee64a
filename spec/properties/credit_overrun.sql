-- property: credit_overrun
-- clauses: BKP-03
-- severity: fail
-- means: a member was given more deliveries than it had asked for
-- coverage
SELECT count(*) FROM deliveries
-- violations
WITH line AS (
  SELECT scope, subscription, seq, 1 AS step FROM deliveries
  UNION ALL
  SELECT scope, subscription, seq, -1 AS step FROM ends),
run AS (
  SELECT l.scope, l.subscription, l.seq, l.step, c.room,
         sum(l.step) OVER (PARTITION BY l.scope, l.subscription ORDER BY l.seq
           ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS open
  FROM line AS l
  JOIN credits AS c ON c.scope = l.scope AND c.subscription = l.subscription)
SELECT scope, seq, subscription || ' has ' || open || ' open deliveries, ' || room || ' were granted' AS says
FROM run WHERE step = 1 AND open > room
