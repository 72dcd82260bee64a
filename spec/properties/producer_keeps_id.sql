-- property: producer_keeps_id
-- clauses: RTY-04
-- severity: fail
-- means: a producer sent one record again under another id
-- coverage
SELECT count(*) FROM (
  SELECT w.scope, w.body_hash FROM sent AS w
  JOIN publishes AS p ON p.scope = w.scope AND p.body_hash = w.body_hash
  GROUP BY w.scope, w.body_hash HAVING count(DISTINCT w.seq) > 1)
-- violations
SELECT w.scope, max(w.seq) AS seq,
       'one publish was sent under ' || count(DISTINCT w.message_id) || ' ids' AS says
FROM sent AS w
JOIN (
  SELECT scope, body_hash FROM publishes GROUP BY scope, body_hash HAVING count(DISTINCT uid) = 1) AS p
  ON p.scope = w.scope AND p.body_hash = w.body_hash
ANTI JOIN (SELECT DISTINCT scope, body_hash FROM events WHERE kind = 'inject') AS i
  ON i.scope = w.scope AND i.body_hash = w.body_hash
GROUP BY w.scope, w.body_hash
HAVING count(DISTINCT w.message_id) > 1
