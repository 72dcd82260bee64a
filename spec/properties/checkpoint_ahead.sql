-- property: checkpoint_ahead
-- clauses: QOS-02, QOS-04
-- severity: fail
-- means: the broker counted a record as acknowledged before its effect
-- coverage
SELECT count(*) FROM checkpoints AS c JOIN scopes AS s USING (scope)
WHERE c.place > 0 AND NOT s.raw_lost
-- violations
-- Stretches of events: an effect comes too late only where the floor at the end of its stretch is not
-- below the lowest place of an effect in it.
WITH stretch AS (
  SELECT scope, grp, stream, seq // 256 AS part, min(place) AS place, NULL AS floor
  FROM placed GROUP BY scope, grp, stream, seq // 256
  UNION ALL
  SELECT scope, grp, stream, seq // 256 AS part, NULL AS place, max(place) AS floor
  FROM checkpoints GROUP BY scope, grp, stream, seq // 256),
suspect AS (
  SELECT scope, grp, stream, part
  FROM (
    SELECT *, max(floor) OVER (PARTITION BY scope, grp, stream ORDER BY part
                RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS reached
    FROM stretch)
  WHERE place <= reached),
line AS (
  SELECT scope, grp, stream, seq, place AS floor, NULL AS place, NULL AS body_hash FROM checkpoints
  UNION ALL
  SELECT e.scope, e.grp, e.stream, e.seq, NULL AS floor, e.place, e.body_hash
  FROM placed AS e
  SEMI JOIN suspect AS u
    ON u.scope = e.scope AND u.grp = e.grp AND u.stream = e.stream AND u.part = e.seq // 256
  SEMI JOIN lanes AS l
    ON l.scope = e.scope AND l.grp = e.grp AND l.stream = e.stream AND l.topic = e.topic AND l.key = e.key
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
