-- property: delivery_order
-- clauses: ORD-01, ORD-02
-- severity: fail
-- means: first deliveries of one producer and key to a group are not in the order of their publishes
-- coverage
SELECT count(*) FROM (
  SELECT 1 FROM handed GROUP BY scope, grp, producer, key HAVING min(uid) <> max(uid))
-- violations
WITH ranked AS (
  SELECT *, max(pseq) OVER (
    PARTITION BY scope, grp, producer, key ORDER BY seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM handed)
SELECT DISTINCT r.scope, r.seq,
       r.uid || ' came to ' || r.grp || ' after number ' || r.before || ' of its key' AS says
FROM ranked AS r
-- Only the first delivery counts.
ANTI JOIN repeated AS a
  ON a.scope = r.scope AND a.grp = r.grp AND a.body_hash = r.body_hash AND a.first < r.seq
WHERE r.before > r.pseq
