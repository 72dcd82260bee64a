-- property: credit_overrun
-- clauses: BKP-03
-- severity: fail
-- means: a member was given more deliveries than it had asked for
-- coverage
SELECT count(*) FROM deliveries
-- violations
WITH room AS (
  SELECT scope, subscription, sum(credit) AS room
  FROM marks WHERE credit IS NOT NULL GROUP BY scope, subscription),
line AS (
  SELECT scope, subscription, seq, 1 AS step FROM deliveries
  UNION ALL
  SELECT scope, subscription, seq, -1 AS step FROM ends),
run AS (
  SELECT scope, subscription, seq, step,
         sum(step) OVER (PARTITION BY scope, subscription ORDER BY seq
           ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS open
  FROM line)
SELECT r.scope, r.seq,
       r.subscription || ' has ' || r.open || ' open deliveries, ' || m.room || ' were granted' AS says
FROM run AS r
JOIN room AS m ON m.scope = r.scope AND m.subscription = r.subscription
WHERE r.step = 1 AND m.room > 0 AND r.open > m.room
