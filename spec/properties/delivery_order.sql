-- property: delivery_order
-- clauses: ORD-01, ORD-02
-- severity: fail
-- means: first deliveries of one producer and key to a group are not in the order of their publishes
-- coverage
SELECT count(*) FROM (
  SELECT 1 FROM deliveries AS d
  JOIN publishes AS p
    ON p.scope = d.scope AND p.body_hash = d.body_hash AND p.topic = d.topic AND p.outcome = 'ok'
  ANTI JOIN twins AS u ON u.scope = p.scope AND u.body_hash = p.body_hash
  WHERE d.replay IS NULL
  GROUP BY d.scope, d.grp, p.producer, p.topic, p.key HAVING count(DISTINCT p.uid) > 1)
-- violations
WITH first AS (
  SELECT d.scope, d.grp, p.producer, p.topic, p.key, p.pseq, p.uid, min(d.seq) AS seq
  FROM deliveries AS d
  JOIN publishes AS p
    ON p.scope = d.scope AND p.body_hash = d.body_hash AND p.topic = d.topic AND p.outcome = 'ok'
  ANTI JOIN twins AS u ON u.scope = p.scope AND u.body_hash = p.body_hash
  WHERE d.replay IS NULL
  GROUP BY ALL),
ranked AS (
  SELECT *, max(pseq) OVER (
    PARTITION BY scope, grp, producer, topic, key ORDER BY seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM first)
SELECT scope, seq, uid || ' came to ' || grp || ' after number ' || before || ' of its key' AS says
FROM ranked WHERE before > pseq
