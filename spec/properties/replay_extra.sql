-- property: replay_extra
-- clauses: RPL-02, RPL-10
-- severity: fail
-- means: a replay brought a record from outside of its window, domain or env
-- coverage
SELECT count(*) FROM requests AS q JOIN replayed AS d ON d.scope = q.scope AND d.replay = q.request
-- violations
SELECT d.scope, d.seq, 'the record at ' || d.position || ' is outside of ' || q.request AS says
FROM requests AS q
JOIN replayed AS d ON d.scope = q.scope AND d.replay = q.request
-- Of several copies the one that was delivered, as far as its place is told.
LEFT JOIN (
  SELECT t.*, count(*) OVER (PARTITION BY t.scope, t.body_hash, t.topic) AS number FROM stored AS t
  SEMI JOIN replayed AS r ON r.body_hash = t.body_hash) AS s
  ON s.body_hash = d.body_hash AND s.topic = d.topic
 AND (s.position = d.position OR (d.position IS NULL AND s.number = 1))
WHERE split_part(d.topic, '.', 2) <> q.env OR split_part(d.topic, '.', 3) <> q.domain
   OR s.produced_ns < q.from_ns OR s.produced_ns >= q.until_ns
