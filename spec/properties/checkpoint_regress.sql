-- property: checkpoint_regress
-- clauses: QOS-04
-- severity: fail
-- means: the place that the broker keeps for a group went back
-- coverage
SELECT count(*) FROM checkpoints AS c JOIN scopes AS s USING (scope)
WHERE c.place > 0 AND NOT s.broker_killed
-- violations
WITH run AS (
  SELECT scope, grp, stream, seq, place, max(place) OVER (
    PARTITION BY scope, grp, stream ORDER BY seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
  FROM checkpoints)
SELECT r.scope, r.seq, 'the place of ' || r.grp || ' went from ' || r.before || ' to ' || r.place AS says
FROM run AS r
JOIN scopes AS s ON s.scope = r.scope AND NOT s.broker_killed
WHERE r.place < r.before
