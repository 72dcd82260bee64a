-- property: producer_keeps_id
-- clauses: RTY-04
-- severity: fail
-- means: a producer sent one record again under another id
-- coverage
SELECT count(*) FROM resent AS w
SEMI JOIN publishes AS p ON p.scope = w.scope AND p.body_hash = w.body_hash
-- violations
SELECT w.scope, max(w.seq) AS seq,
       'one publish was sent under ' || count(DISTINCT w.message_id) || ' ids' AS says
FROM sent AS w
SEMI JOIN resent AS r ON r.scope = w.scope AND r.body_hash = w.body_hash
JOIN (
  SELECT p.scope, p.body_hash FROM publishes AS p
  SEMI JOIN resent AS r ON r.scope = p.scope AND r.body_hash = p.body_hash
  GROUP BY p.scope, p.body_hash HAVING count(DISTINCT p.uid) = 1) AS p
  ON p.scope = w.scope AND p.body_hash = w.body_hash
ANTI JOIN injected AS i ON i.scope = w.scope AND i.body_hash = w.body_hash
GROUP BY w.scope, w.body_hash
HAVING count(DISTINCT w.message_id) > 1
