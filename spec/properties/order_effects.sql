-- property: order_effects
-- clauses: ORD-04
-- severity: fail
-- means: an instruction took effect before an earlier one of the same order that took effect later
-- coverage
SELECT count(*) FROM (
  SELECT 1 FROM taken WHERE topic LIKE 'ampy.%.orders.%'
  GROUP BY scope, grp, producer, key HAVING min(uid) <> max(uid))
-- violations
WITH first AS (
  SELECT scope, grp, producer, key, pseq, uid, min(seq) AS seq
  FROM taken WHERE topic LIKE 'ampy.%.orders.%' GROUP BY ALL),
ranked AS (
  SELECT *, max(pseq) OVER (
    PARTITION BY scope, grp, producer, key ORDER BY seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM first)
SELECT scope, seq, uid || ' took effect in ' || grp || ' after number ' || before || ' of its order' AS says
FROM ranked WHERE before > pseq
