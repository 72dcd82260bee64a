-- property: skipped
-- clauses: QOS-01, QOS-07
-- severity: fail
-- means: a stored record never reached a group that handled a later one of its producer, key and topic
-- coverage
SELECT count(*) FROM (SELECT DISTINCT scope, grp, uid FROM taken WHERE pseq > 0)
-- violations
WITH latest AS (
  SELECT scope, grp, producer, key, published AS topic, max(pseq) AS pseq
  FROM taken GROUP BY ALL)
SELECT p.scope, p.ended AS seq,
       'the group ' || l.grp || ' never got ' || p.uid || ', and handled a later one' AS says
FROM (SELECT DISTINCT scope, grp, body_hash FROM unhandled) AS u
JOIN publishes AS p ON p.scope = u.scope AND p.body_hash = u.body_hash AND p.outcome = 'ok'
JOIN latest AS l
  ON l.scope = p.scope AND l.grp = u.grp AND l.producer = p.producer AND l.key = p.key AND l.topic = p.topic
 AND l.pseq > p.pseq
JOIN scopes AS s ON s.scope = p.scope AND NOT s.late_start
ANTI JOIN deliveries AS d
  ON d.scope = p.scope AND d.grp = l.grp AND d.body_hash = p.body_hash
ANTI JOIN graves AS g ON g.scope = p.scope AND g.body_hash = p.body_hash
ANTI JOIN effects AS e
  ON e.scope = p.scope AND e.grp = l.grp AND e.topic = p.topic AND e.dedupe_key = p.dedupe_key
