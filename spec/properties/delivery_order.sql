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
    ON r.scope = d.scope AND r.grp IS NOT DISTINCT FROM d.grp AND r.body_hash = d.body_hash
  WHERE d.live AND d.seq = coalesce(r.first, d.seq)),
ranked AS (
  SELECT *, max(pseq) OVER (
    PARTITION BY scope, grp, lane ORDER BY seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM first)
SELECT b.scope, b.seq,
       p.uid || ' came to ' || b.grp || ' after number ' || max(a.pseq) || ' of its key' AS says
FROM ranked AS b
JOIN first AS a
  ON a.scope = b.scope AND a.grp IS NOT DISTINCT FROM b.grp AND a.lane = b.lane
 AND a.pseq > b.pseq AND a.seq < b.seq
 AND (a.subscription = b.subscription OR b.started_ns > a.started_ns + 250000000)
JOIN publishes AS p ON p.scope = b.scope AND p.body_hash = b.body_hash
WHERE b.before > b.pseq
GROUP BY b.scope, b.seq, b.grp, p.uid
