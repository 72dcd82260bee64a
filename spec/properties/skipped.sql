-- property: skipped
-- clauses: QOS-01, QOS-07
-- severity: fail
-- means: a stored record never reached a group that handled a later one of its producer, key and topic
-- coverage
SELECT count(*) FROM publishes AS p
SEMI JOIN effects AS e ON e.scope = p.scope AND e.body_hash = p.body_hash
WHERE p.outcome = 'ok' AND p.pseq > 0
-- violations
WITH latest AS (
  SELECT scope, grp, lane, max(pseq) AS pseq FROM effects
  WHERE replay IS NULL AND lane IS NOT NULL
  GROUP BY scope, grp, lane),
missed AS (
  SELECT p.scope, l.grp, p.uid, p.ended, p.body_hash, p.topic, p.dedupe_key
  FROM publishes AS p
  JOIN latest AS l ON l.scope = p.scope AND l.lane = p.lane AND l.pseq > p.pseq
  JOIN scopes AS s ON s.scope = p.scope AND NOT s.late_start
  ANTI JOIN deliveries AS d
    ON d.scope = p.scope AND d.grp = l.grp AND d.body_hash = p.body_hash
  WHERE p.outcome = 'ok')
SELECT m.scope, m.ended AS seq,
       'the group ' || m.grp || ' never got ' || m.uid || ', and handled a later one' AS says
FROM missed AS m
SEMI JOIN stored AS t ON t.scope = m.scope AND t.body_hash = m.body_hash
ANTI JOIN graves AS g ON g.scope = m.scope AND g.body_hash = m.body_hash
ANTI JOIN effects AS e
  ON e.scope = m.scope AND e.grp = m.grp AND e.topic = m.topic AND e.dedupe_key = m.dedupe_key
