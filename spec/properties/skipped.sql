-- property: skipped
-- clauses: QOS-01, QOS-07
-- severity: fail
-- means: a stored record never reached a group that handled a later one of its producer, key and topic
-- coverage
SELECT count(*) FROM effects AS e JOIN scopes AS s ON s.scope = e.scope AND NOT s.late_start
WHERE e.lane IS NOT NULL AND e.pseq > 0 AND e.replay IS NULL AND NOT e.dead
-- violations
WITH latest AS (
  SELECT scope, grp, lane, max(pseq) AS pseq FROM effects
  WHERE replay IS NULL AND lane IS NOT NULL AND NOT dead
  GROUP BY scope, grp, lane)
SELECT DISTINCT p.scope, p.ended AS seq,
       'the group ' || l.grp || ' never got ' || p.uid || ', and handled a later one' AS says
FROM unhandled AS u
JOIN publishes AS p ON p.body_hash = u.body_hash AND p.outcome = 'ok'
JOIN latest AS l
  ON l.scope = p.scope AND l.grp = u.grp AND l.lane = p.lane AND l.pseq > p.pseq
JOIN scopes AS s ON s.scope = p.scope AND NOT s.late_start
ANTI JOIN graves AS g ON g.body_hash = p.body_hash
ANTI JOIN deliveries AS d ON d.grp = u.grp AND d.body_hash = p.body_hash
ANTI JOIN effects AS e
  ON e.grp = u.grp AND e.topic = p.topic AND e.dedupe_key = p.dedupe_key
