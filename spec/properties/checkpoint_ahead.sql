-- property: checkpoint_ahead
-- clauses: QOS-02, QOS-04
-- severity: fail
-- means: the broker counted a record as acknowledged before its effect
-- coverage
SELECT count(*) FROM checkpoints AS c JOIN scopes AS s USING (scope)
WHERE c.place > 0 AND NOT s.raw_lost
-- violations
WITH line AS (
  SELECT scope, grp, stream, seq, place AS floor, NULL AS place, NULL AS body_hash FROM checkpoints
  UNION ALL
  SELECT e.scope, e.grp, s.stream, e.seq, NULL AS floor, s.place, s.body_hash
  FROM effects AS e
  JOIN stored AS s ON s.body_hash = e.body_hash
  SEMI JOIN lanes AS l
    ON l.scope = s.scope AND l.grp = e.grp AND l.stream = s.stream AND l.topic = s.topic AND l.key = s.key
  -- A broker that lost the end of its log gives its places away again.
  JOIN scopes AS c ON c.scope = e.scope AND NOT c.raw_lost),
run AS (
  SELECT scope, grp, stream, seq, place, body_hash, max(floor) OVER (
    PARTITION BY scope, grp, stream ORDER BY seq
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS floor
  FROM line),
behind AS (SELECT * FROM run WHERE place <= floor),
-- What is of one body, id or dedupe key has its effect with the first.
before AS (
  SELECT r.scope, r.seq FROM behind AS r
  JOIN effects AS e
    ON e.grp = r.grp AND e.body_hash = r.body_hash AND e.seq < r.seq
  UNION ALL
  SELECT r.scope, r.seq FROM behind AS r
  JOIN stored AS s ON s.scope = r.scope AND s.stream = r.stream AND s.place = r.place
  JOIN effects AS e
    ON e.grp = r.grp AND e.topic = s.topic AND e.message_id = s.message_id
   AND e.seq < r.seq
  UNION ALL
  SELECT r.scope, r.seq FROM behind AS r
  JOIN stored AS s ON s.scope = r.scope AND s.stream = r.stream AND s.place = r.place
  JOIN effects AS e
    ON e.grp = r.grp AND e.topic = s.topic AND e.dedupe_key = s.dedupe_key
   AND e.seq < r.seq)
SELECT r.scope, r.seq,
       'the effect at ' || r.place || ' in ' || r.grp || ' came after the checkpoint ' || r.floor AS says
FROM behind AS r
ANTI JOIN graves AS g ON g.body_hash = r.body_hash
ANTI JOIN before AS b ON b.scope = r.scope AND b.seq = r.seq
