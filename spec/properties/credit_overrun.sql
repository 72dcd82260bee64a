-- property: credit_overrun
-- clauses: BKP-03
-- severity: fail
-- means: a member was given more deliveries than it had asked for
-- coverage
SELECT count(*) FROM deliveries
-- violations
WITH line AS (
  SELECT d.scope, d.subscription, d.seq, 1 AS step
  FROM deliveries AS d
  JOIN credits AS c ON c.scope = d.scope AND c.subscription = d.subscription
  UNION ALL
  SELECT d.scope, d.subscription, d.ended AS seq, -1 AS step
  FROM deliveries AS d
  JOIN credits AS c ON c.scope = d.scope AND c.subscription = d.subscription
  WHERE d.ended IS NOT NULL),
-- Stretches of events: nobody has more open in one than before it and what it brings, together.
stretch AS (
  SELECT scope, subscription, seq // 256 AS part, sum(step) AS change,
         sum(CASE WHEN step = 1 THEN 1 ELSE 0 END) AS brought
  FROM line GROUP BY scope, subscription, seq // 256),
suspect AS (
  SELECT DISTINCT s.scope, s.subscription
  FROM (
    SELECT *, sum(change) OVER (PARTITION BY scope, subscription ORDER BY part
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS after
    FROM stretch) AS s
  JOIN credits AS c ON c.scope = s.scope AND c.subscription = s.subscription
  WHERE s.after - s.change + s.brought > c.room),
run AS (
  SELECT l.scope, l.subscription, l.seq, l.step,
         sum(l.step) OVER (PARTITION BY l.scope, l.subscription ORDER BY l.seq
           ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS open
  FROM line AS l
  SEMI JOIN suspect AS s ON s.scope = l.scope AND s.subscription = l.subscription)
SELECT r.scope, r.seq,
       r.subscription || ' has ' || r.open || ' open deliveries, ' || c.room || ' were granted' AS says
FROM run AS r
JOIN credits AS c ON c.scope = r.scope AND c.subscription = r.subscription
WHERE r.step = 1 AND r.open > c.room
