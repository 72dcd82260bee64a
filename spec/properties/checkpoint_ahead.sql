-- property: checkpoint_ahead
-- clauses: QOS-02, QOS-04
-- severity: fail
-- means: the broker counted a record as acknowledged before its effect
-- coverage
SELECT count(*) FROM checkpoints AS c JOIN scopes AS s USING (scope)
WHERE c.place > 0 AND NOT s.raw_lost
-- violations
WITH first AS (
  SELECT r.scope, r.grp, r.stream, r.place, min(e.seq) AS seq
  FROM due AS r
  JOIN effects AS e ON e.scope = r.scope AND e.grp = r.grp AND e.body_hash = r.body_hash
  ANTI JOIN graves AS g ON g.scope = r.scope AND g.body_hash = r.body_hash
  GROUP BY r.scope, r.grp, r.stream, r.place),
line AS (
  SELECT scope, grp, stream, seq, place AS floor, NULL AS place FROM checkpoints
  UNION ALL
  SELECT scope, grp, stream, seq, NULL AS floor, place FROM first),
run AS (
  SELECT scope, grp, stream, seq, place, max(floor) OVER (
    PARTITION BY scope, grp, stream ORDER BY seq
    RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS floor
  FROM line)
SELECT r.scope, r.seq,
       'the effect at ' || r.place || ' in ' || r.grp || ' came after the checkpoint ' || r.floor AS says
FROM run AS r
-- A broker that lost the end of its log gives its places away again.
JOIN scopes AS c ON c.scope = r.scope AND NOT c.raw_lost
WHERE r.place <= r.floor
  AND NOT EXISTS (
    SELECT 1 FROM stored AS s
    JOIN effects AS e
      ON e.scope = s.scope AND e.topic = s.topic
     AND (e.message_id = s.message_id OR e.dedupe_key = s.dedupe_key)
    WHERE s.scope = r.scope AND s.stream = r.stream AND s.place = r.place AND e.grp = r.grp
      AND e.seq < r.seq)
