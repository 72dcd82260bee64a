-- property: delivery_order
-- clauses: ORD-01, ORD-02
-- severity: fail
-- means: first deliveries of one producer and key to a group are not in the order of their publishes
-- coverage
SELECT count(*) FROM (
  SELECT 1 FROM deliveries AS d WHERE d.live
  GROUP BY d.scope, d.grp, d.lane HAVING min(d.body_hash) < max(d.body_hash))
-- violations
-- Two members may race: what one was given within a quarter of a second after the other (`started_ns`, the
-- drivers' own stamps) may be heard in another order, and is no proof.
WITH first AS (
  SELECT d.scope, d.grp, d.lane, d.pseq, d.body_hash, d.seq, d.subscription, d.started_ns
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
  SELECT f.scope, f.grp, f.lane, f.pseq, f.body_hash, f.seq, f.subscription, f.started_ns, max(f.pseq) OVER (
    PARTITION BY f.grp, f.lane ORDER BY f.seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM first AS f
  SEMI JOIN turned AS t ON t.grp IS NOT DISTINCT FROM f.grp AND t.lane = f.lane)
SELECT b.scope, b.seq,
       p.uid || ' came to ' || b.grp || ' after number ' || max(a.pseq) || ' of its key' AS says
FROM ranked AS b
JOIN first AS a
  ON a.grp IS NOT DISTINCT FROM b.grp AND a.lane = b.lane AND a.pseq > b.pseq AND a.seq < b.seq
 AND (a.subscription = b.subscription OR b.started_ns > a.started_ns + 250000000)
JOIN publishes AS p ON p.body_hash = b.body_hash
WHERE b.before > b.pseq
GROUP BY b.scope, b.seq, b.grp, p.uid
