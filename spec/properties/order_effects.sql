-- property: order_effects
-- clauses: ORD-04
-- severity: fail
-- means: an instruction took effect before an earlier one of the same order that took effect later
-- coverage
SELECT count(*) FROM (
  SELECT 1 FROM effects AS e
  ANTI JOIN graves AS g ON g.body_hash = e.body_hash
  WHERE e.live AND e.topic LIKE 'ampy.%.orders.%'
  GROUP BY e.scope, e.grp, e.lane HAVING min(e.body_hash) < max(e.body_hash))
-- violations
WITH first AS (
  SELECT e.scope, e.grp, e.lane, e.pseq, e.body_hash, min(e.seq) AS seq
  FROM effects AS e
  ANTI JOIN graves AS g ON g.body_hash = e.body_hash
  WHERE e.live AND e.topic LIKE 'ampy.%.orders.%'
  GROUP BY e.scope, e.grp, e.lane, e.pseq, e.body_hash),
ranked AS (
  SELECT *, max(pseq) OVER (
    PARTITION BY scope, grp, lane ORDER BY seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM first)
SELECT r.scope, r.seq, p.uid || ' took effect in ' || r.grp || ' after number ' || r.before || ' of its order' AS says
FROM ranked AS r
JOIN publishes AS p ON p.body_hash = r.body_hash
WHERE r.before > r.pseq
