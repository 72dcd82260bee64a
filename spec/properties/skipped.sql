-- property: skipped
-- clauses: QOS-01, QOS-07
-- severity: fail
-- means: a stored record never reached a group that handled a later one of its producer, key and topic
-- coverage
SELECT count(*) FROM (
  SELECT DISTINCT e.scope, e.grp, p.uid
  FROM effects AS e
  JOIN publishes AS p ON p.scope = e.scope AND p.body_hash = e.body_hash AND p.outcome = 'ok'
  WHERE p.pseq > 0)
-- violations
WITH latest AS (
  SELECT e.scope, e.grp, p.producer, p.key, p.topic, max(p.pseq) AS pseq
  FROM effects AS e
  JOIN publishes AS p ON p.scope = e.scope AND p.body_hash = e.body_hash AND p.outcome = 'ok'
  ANTI JOIN twins AS u ON u.scope = p.scope AND u.body_hash = p.body_hash
  WHERE e.replay IS NULL
  GROUP BY ALL)
SELECT p.scope, p.ended AS seq,
       'the group ' || l.grp || ' never got ' || p.uid || ', and handled a later one' AS says
FROM publishes AS p
JOIN latest AS l
  ON l.scope = p.scope AND l.producer = p.producer AND l.key = p.key AND l.topic = p.topic
 AND l.pseq > p.pseq
JOIN scopes AS s ON s.scope = p.scope AND NOT s.late_start
WHERE p.outcome = 'ok'
  AND EXISTS (SELECT 1 FROM stored AS t WHERE t.scope = p.scope AND t.body_hash = p.body_hash)
  AND NOT EXISTS (SELECT 1 FROM graves AS g WHERE g.scope = p.scope AND g.body_hash = p.body_hash)
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS d
    WHERE d.scope = p.scope AND d.grp = l.grp AND d.body_hash = p.body_hash)
  AND NOT EXISTS (
    SELECT 1 FROM effects AS e
    WHERE e.scope = p.scope AND e.grp = l.grp AND e.topic = p.topic AND e.dedupe_key = p.dedupe_key)
