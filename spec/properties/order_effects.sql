-- property: order_effects
-- clauses: ORD-04
-- severity: fail
-- means: an instruction took effect before an earlier one of the same order that took effect later
-- coverage
SELECT count(*) FROM (
  SELECT 1 FROM effects AS e
  JOIN publishes AS p
    ON p.scope = e.scope AND p.body_hash = e.body_hash AND p.topic = e.topic AND p.outcome = 'ok'
  ANTI JOIN twins AS u ON u.scope = p.scope AND u.body_hash = p.body_hash
  ANTI JOIN graves AS g ON g.scope = p.scope AND g.body_hash = p.body_hash
  WHERE e.replay IS NULL AND e.topic LIKE 'ampy.%.orders.%'
  GROUP BY e.scope, e.grp, p.producer, p.topic, p.key HAVING count(DISTINCT p.uid) > 1)
-- violations
WITH first AS (
  SELECT e.scope, e.grp, p.producer, p.topic, p.key, p.pseq, p.uid, min(e.seq) AS seq
  FROM effects AS e
  JOIN publishes AS p
    ON p.scope = e.scope AND p.body_hash = e.body_hash AND p.topic = e.topic AND p.outcome = 'ok'
  ANTI JOIN twins AS u ON u.scope = p.scope AND u.body_hash = p.body_hash
  ANTI JOIN graves AS g ON g.scope = p.scope AND g.body_hash = p.body_hash
  WHERE e.replay IS NULL AND e.topic LIKE 'ampy.%.orders.%'
  GROUP BY ALL),
ranked AS (
  SELECT *, max(pseq) OVER (
    PARTITION BY scope, grp, producer, topic, key ORDER BY seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM first)
SELECT scope, seq, uid || ' took effect in ' || grp || ' after number ' || before || ' of its order' AS says
FROM ranked WHERE before > pseq
