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
  WHERE e.live AND e.pseq IS NOT NULL AND e.topic LIKE 'ampy.%.orders.%'
  GROUP BY e.scope, e.grp, e.lane, e.pseq, e.body_hash),
-- Where something is out of order, some two neighbours are.
turned AS (
  SELECT DISTINCT grp, lane
  FROM (SELECT grp, lane, pseq, lag(pseq) OVER (PARTITION BY grp, lane ORDER BY seq) AS before FROM first)
  WHERE before > pseq),
ranked AS (
  SELECT f.scope, f.grp, f.pseq, f.body_hash, f.seq, max(f.pseq) OVER (
    PARTITION BY f.grp, f.lane ORDER BY f.seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM first AS f
  SEMI JOIN turned AS t ON t.grp IS NOT DISTINCT FROM f.grp AND t.lane = f.lane)
SELECT r.scope, r.seq, p.uid || ' took effect in ' || r.grp || ' after number ' || r.before || ' of its order' AS says
FROM ranked AS r
JOIN publishes AS p ON p.body_hash = r.body_hash
WHERE r.before > r.pseq
