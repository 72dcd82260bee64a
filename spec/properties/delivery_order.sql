-- property: delivery_order
-- clauses: ORD-01, ORD-02
-- severity: fail
-- means: first deliveries of one producer and key to a group are not in the order of their publishes
-- coverage
SELECT count(*) FROM (
  SELECT 1 FROM deliveries AS d WHERE d.live
  GROUP BY d.scope, d.grp, d.lane HAVING min(d.body_hash) < max(d.body_hash))
-- violations
WITH first AS (
  SELECT d.scope, d.grp, d.lane, d.pseq, d.body_hash, d.seq
  FROM deliveries AS d
  LEFT JOIN repeated AS r
    ON r.grp IS NOT DISTINCT FROM d.grp AND r.body_hash = d.body_hash
  WHERE d.live AND d.pseq IS NOT NULL AND d.seq = coalesce(r.first, d.seq)),
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
SELECT r.scope, r.seq, p.uid || ' came to ' || r.grp || ' after number ' || r.before || ' of its key' AS says
FROM ranked AS r
JOIN publishes AS p ON p.body_hash = r.body_hash
WHERE r.before > r.pseq
