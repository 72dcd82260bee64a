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
-- Two members may race, as in `delivery_order`.
WITH first AS (
  SELECT e.scope, e.grp, e.lane, e.pseq, e.body_hash, min(e.seq) AS seq,
         min_by(e.subscription, e.seq) AS subscription, min_by(e.started_ns, e.seq) AS started_ns
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
  SELECT f.scope, f.grp, f.lane, f.pseq, f.body_hash, f.seq, f.subscription, f.started_ns, max(f.pseq) OVER (
    PARTITION BY f.grp, f.lane ORDER BY f.seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM first AS f
  SEMI JOIN turned AS t ON t.grp IS NOT DISTINCT FROM f.grp AND t.lane = f.lane)
SELECT b.scope, b.seq,
       p.uid || ' took effect in ' || b.grp || ' after number ' || max(a.pseq) || ' of its order' AS says
FROM ranked AS b
JOIN first AS a
  ON a.grp IS NOT DISTINCT FROM b.grp AND a.lane = b.lane AND a.pseq > b.pseq AND a.seq < b.seq
 AND (a.subscription = b.subscription OR b.started_ns > a.started_ns + 250000000)
JOIN publishes AS p ON p.body_hash = b.body_hash
WHERE b.before > b.pseq
GROUP BY b.scope, b.seq, b.grp, p.uid
